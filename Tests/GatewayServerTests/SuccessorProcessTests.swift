import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("SuccessorProcess: a program that is to take over, as a child of one's own or of the process that watches")
struct SuccessorProcessTests {
    private static func end() throws -> (near: Int32, far: Int32) {
        var pair = try DescriptorSocket.Pair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { throw Errno(EBADF) }
        return (near.release(), far.release())
    }

    private static func shell(_ text: String) -> ChildProgram {
        ChildProgram(path: "/bin/sh", arguments: ["-c", text], variables: ["MARK": "set"])
    }

    /// What is told up to its end, which may have come before anybody looks.
    private static func news(of process: SuccessorProcess) -> [SuccessorProcess.News] {
        var news = process.step()
        while !process.descriptors.isEmpty {
            var interests = process.descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            #expect(poll(&interests, nfds_t(interests.count), 30_000) == 1)
            news += process.step()
        }
        return news
    }

    @Test("a child of one's own finds its descriptors where the variables say, and its end is told once")
    func own() throws {
        let ends = try Self.end()
        defer { close(ends.near) }
        let test = """
            test -S /proc/self/fd/3 && test -S /proc/self/fd/4 && test ! -e /proc/self/fd/6 && test "$MARK" = set &&
            test "$GATEWAY_SUPERVISOR" = "3:$PPID" && test "$GATEWAY_PREDECESSOR" = "4:$PPID" && exit 9
            """
        let process = try SuccessorProcess(
            Self.shell(test), DescriptorSocket(adopting: ends.far), supervisor: nil)
        let number = try #require(process.process)
        #expect(process.isOwnChild)
        let news = Self.news(of: process)
        #expect(news == [.started(number), .gone("/bin/sh, process \(number), exited with status 9")])
        #expect(process.descriptors.isEmpty && process.step().isEmpty)
        // The far end was the child's alone.
        var byte: UInt8 = 0
        #expect(read(ends.near, &byte, 1) == 0)
    }

    @Test("signals are handed on")
    func signals() throws {
        let ends = try Self.end()
        defer { close(ends.near) }
        let process = try SuccessorProcess(
            Self.shell("kill -STOP $$"), DescriptorSocket(adopting: ends.far), supervisor: nil)
        process.handOn(SIGKILL)
        guard case .gone(let reason)? = Self.news(of: process).last else { throw Errno(ESRCH) }
        #expect(reason.hasSuffix("was killed by signal 9"))
    }

    @Test("one that is not to take over ends with its owner, and is reaped")
    func dropped() throws {
        let ends = try Self.end()
        defer { close(ends.near) }
        do {
            let process = try SuccessorProcess(
                Self.shell("kill -STOP $$"), DescriptorSocket(adopting: ends.far), supervisor: nil)
            #expect(process.process != nil)
        }
        // Its end of the way is closed when it has ended.
        var interest = pollfd(fd: ends.near, events: Int16(POLLIN), revents: 0)
        #expect(poll(&interest, 1, 30_000) == 1)
    }

    @Test("what cannot be started is said at once")
    func refused() throws {
        let ends = try Self.end()
        defer { close(ends.near) }
        #expect(throws: ChildProgram.Failure(description: "/nowhere cannot be started: No such file or directory")) {
            _ = try SuccessorProcess(
                ChildProgram(path: "/nowhere", arguments: []), DescriptorSocket(adopting: ends.far), supervisor: nil)
        }
    }

    @Test("where a process watches it is asked, and tells; what is about others is left alone")
    func supervised() throws {
        let (way, ends) = (try Self.end(), try Self.end())
        defer { close(ends.near) }
        var watcher = try SuccessionLink(DescriptorSocket(adopting: way.far))
        let pipe = try SupervisorPipe(DescriptorSocket(adopting: way.near))
        let process = try SuccessorProcess(
            Self.shell("exit 0"), DescriptorSocket(adopting: ends.far), supervisor: pipe)
        #expect(process.process == nil && !process.isOwnChild && process.step().isEmpty)
        _ = pipe.turn()
        guard case .start(Self.shell("exit 0"), _)? = try watcher.turn().first else { throw Errno(EBADMSG) }
        // A number that no process has: the limit of the kernel is below.
        let number: pid_t = 0x7FFF_FFF0
        process.hear(.ended(5, ChildEnd()))
        process.hear(.started(number))
        process.hear(.started(6))
        process.hear(.notStarted("not that one"))
        #expect(process.step() == [.started(number)] && process.process == number)
        process.tellServing()
        _ = pipe.turn()
        guard case .serves(UInt32(number))? = try watcher.turn().first else { throw Errno(EBADMSG) }
        process.hear(.ended(number, ChildEnd(signal: 11, status: 0)))
        process.hear(.gone("it has ended"))
        #expect(process.step() == [.gone("/bin/sh, process \(number), was killed by signal 11")])
    }

    @Test("a parent that has nothing left to do becomes what watches, and ends as the child does")
    func watchOver() async {
        await #expect(processExitsWith: .exitCode(78)) {
            let ends = try Self.end()
            let program = ChildProgram(
                path: TestGateway.prober, arguments: ["check", "-c", "/nowhere/gateway.conf"])
            let process = try SuccessorProcess(program, DescriptorSocket(adopting: ends.far), supervisor: nil)
            process.watchOver()
        }
    }

    @Test("it ends so at once where the child was faster, and is reaped")
    func childWasFaster() async {
        await #expect(processExitsWith: .exitCode(7)) {
            let ends = try Self.end()
            let process = try SuccessorProcess(
                Self.shell("exit 7"), DescriptorSocket(adopting: ends.far), supervisor: nil)
            _ = Self.news(of: process)
            process.watchOver()
        }
    }

    @Test("it does so also where the file has gone meanwhile")
    func fileGone() async {
        await #expect(processExitsWith: .exitCode(5)) {
            let ends = try Self.end()
            var name = Array("/tmp/gateway-successor-XXXXXX".utf8CString)
            let file = mkstemp(&name)
            let text = Array("#!/bin/sh\necho up >&4\nexit 5\n".utf8)
            #expect(write(file, text, text.count) == text.count && fchmod(file, 0o700) == 0)
            close(file)
            let path = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            let process = try SuccessorProcess(
                ChildProgram(path: path, arguments: []), DescriptorSocket(adopting: ends.far), supervisor: nil)
            // Then the shell has its script.
            var interest = pollfd(fd: ends.near, events: Int16(POLLIN), revents: 0)
            #expect(poll(&interest, 1, 30_000) == 1)
            unlink(path)
            process.watchOver()
        }
    }
}
