import CLinux
import Glibc
import HandlerModules
import Testing

@Suite("Who kills the process is named in its last words, and it dies as it would have")
struct CrashSiteTests {
    private struct Death {
        let signal: Int32
        let status: Int32
        /// What it wrote to standard error, and to the file for it.
        let said: String
        let recorded: String
    }

    /// Runs the child that dies in the way that is asked for.
    private func die(_ how: String) throws -> Death {
        let folder = TemporaryFolder()
        let file = open(folder.write("record", []), O_RDWR | O_APPEND)
        let output = open(folder.write("output", []), O_RDWR | O_APPEND)
        defer { for descriptor in [file, output] { _ = close(descriptor) } }
        let process = clinux_spawn("\(builtModules)/probe_child", "--crash", how, [file, output, output], 3)
        try #require(process > 0)
        var end = clinux_end()
        try #require(clinux_reap(process, 1, &end) == 1)
        return Death(
            signal: end.signal, status: end.status,
            said: String(decoding: contents(of: "\(folder.path)/output"), as: UTF8.self),
            recorded: String(decoding: contents(of: "\(folder.path)/record"), as: UTF8.self))
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
    func `records it once, on standard error and in the file`(_ how: String, _ signal: Int32, _ text: String) throws {
        let death = try die(how)
        #expect(death.signal == signal)
        #expect(death.recorded.contains(text), "\(death.recorded)")
        #expect(death.recorded.split(separator: "\n").count == 1)
        #expect(death.said.contains(death.recorded))
        // "2026-01-31T23:59:59Z crash: ..."
        let stamp = death.recorded.prefix(20)
        #expect(stamp.wholeMatch(of: /\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\dZ/) != nil, "\(stamp)")
    }

    @Test func `says where the code was, as addr2line wants it`() throws {
        let death = try die("fault")
        #expect(death.recorded.contains(", in \(builtModules)/probe_child+0x"))
    }

    @Test func `a later process reads which build it was`() throws {
        let folder = TemporaryFolder()
        let records = try ["fault", "left", "abort"].map { try die($0).recorded }
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

    @Test func `nothing is written when nothing happens`() throws {
        let death = try die("survived")
        #expect(death.signal == 0 && death.status == 0)
        #expect(death.recorded.isEmpty && death.said.isEmpty)
    }
}
