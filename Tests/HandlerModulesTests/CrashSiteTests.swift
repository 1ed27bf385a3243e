import CLinux
import Glibc
import HandlerModules
import Testing

@Suite("Who kills the process is named in its last words, and it dies as it would have")
struct CrashSiteTests {
    private struct Death {
        /// What it wrote to standard error, and to the file for it.
        let said: String
        let recorded: String
    }

    /// Lets a process die in one way, with one end.
    private func die(_ how: String, _ end: ExitTest.Condition) async throws -> Death {
        let folder = TemporaryFolder()
        let record = folder.write("record", [])
        let result = await #expect(processExitsWith: end, observing: [\.standardErrorContent]) {
            [record = record as String, how = how as String] in
            Crash.die(how, record: record)
        }
        return Death(
            said: String(decoding: try #require(result).standardErrorContent, as: UTF8.self),
            recorded: String(decoding: contents(of: record), as: UTF8.self))
    }

    private static let site =
        "crash: handler \"chat\", generation 3, in message of route /rooms/:room, connection 100000002: "

    /// What the trap of Swift ends in.
    #if arch(x86_64)
    private static let trap = SIGILL
    #else
    private static let trap = SIGTRAP
    #endif

    @Test(arguments: [
        ("fault", SIGSEGV, site + "SIGSEGV at address 0x10 (build 00000000000000ab, pid "),
        ("abort", SIGABRT, site + "SIGABRT (build 00000000000000ab, pid "),
        ("trap", trap, site + "\(SignalName.of(trap)) at address 0x"),
        ("overflow", SIGSEGV, site + "SIGSEGV at address 0x"),
        ("sent", SIGSEGV, site + "SIGSEGV (build 00000000000000ab, pid "),
        ("left", SIGSEGV, "crash: outside of every handler: SIGSEGV at address 0x10 (pid "),
    ])
    func `records it once, on standard error and in the file`(
        _ how: String, _ signal: Int32, _ text: String
    ) async throws {
        let death = try await die(how, .signal(signal))
        #expect(death.recorded.contains(text), "\(death.recorded)")
        #expect(death.recorded.split(separator: "\n").count == 1)
        #expect(death.said.contains(death.recorded))
        // "2026-01-31T23:59:59Z crash: ..."
        let stamp = death.recorded.prefix(20)
        #expect(stamp.wholeMatch(of: /\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ/) != nil, "\(stamp)")
    }

    @Test func `says where the code was, as addr2line wants it`() async throws {
        let death = try await die("fault", .signal(SIGSEGV))
        let runner = try #require(realpath("/proc/self/exe", nil))
        defer { free(runner) }
        #expect(death.recorded.contains(", in \(String(cString: runner))+0x"), "\(death.recorded)")
    }

    @Test func `a later process reads which build it was`() async throws {
        let folder = TemporaryFolder()
        let records = [
            try await die("fault", .signal(SIGSEGV)).recorded, try await die("left", .signal(SIGSEGV)).recorded,
            try await die("abort", .signal(SIGABRT)).recorded,
        ]
        let path = folder.write("record", Array(("not a record\n" + records.joined()).utf8), mode: 0o600)
        let read = CrashRecord.all(in: path)
        #expect(read.map(\.digest) == [0xAB, 0xAB], "what crashed outside of every handler names none")
        #expect(read.map(\.handler) == ["chat", "chat"])
        #expect(
            read.first?.what
                == "generation 3, in message of route /rooms/:room, connection 100000002: SIGSEGV at address 0x10")
        #expect(read.first?.time == String(records[0].prefix(20)))
        #expect(chmod(path, 0o622) == 0)
        #expect(CrashRecord.all(in: path) == [], "others could have written it")
        #expect(CrashRecord.all(in: folder.path + "/nothing") == [])
    }

    @Test func `nothing is written when nothing happens`() async throws {
        let death = try await die("survived", .exitCode(0))
        #expect(death.recorded.isEmpty && !death.said.contains("crash"))
    }
}

/// Ways to die, with the record of a crash on standard error and in a file.
private enum Crash {
    static func die(_ how: String, record: String) {
        let file = open(record, O_RDWR | O_APPEND | O_CLOEXEC)
        guard clinux_record_crashes(file) == 0, clinux_make_crash_stack() == 0 else { exit(2) }
        let site = CrashSite(handler: "chat", generation: 3, digest: 0xAB, route: "/rooms/:room")
        site.enter(CLINUX_MESSAGE, connection: 0x1_0000_0002)
        switch how {
        case "fault": fault()
        case "left":
            CrashSite.leave()
            fault()
        case "abort": abort()
        case "trap": fatalError("a handler gave up")
        case "overflow": print(sink(0))
        case "sent": _ = pthread_kill(pthread_self(), SIGSEGV)
        case "survived": exit(0)
        default: exit(2)
        }
    }

    private static func fault() {
        UnsafeMutablePointer<Int>(bitPattern: 0x10)?.pointee = 1
    }

    /// Needs more stack than there is.
    @inline(never)
    private static func sink(_ depth: Int) -> Int {
        var room = [depth, depth + 1]
        room[depth & 1] = depth == .max ? 0 : sink(depth + 1)
        return room[0] &+ room[1]
    }
}
