import GatewayIO
import Glibc
import HandlerModules
import Testing

@testable import GatewayServer

/// A folder with programs, for tests of which file is started; taken away with it.
final class ProgramFolder {
    let path: String

    init() throws {
        var name = Array("/tmp/gateway-programs-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { throw Errno.last }
        path = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        for name in ["gateway", "new", "other"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var program: String { "\(path)/gateway" }

    /// Puts a file there, in place of the one of that name; as programs are, a copy of one where it is to run.
    func put(_ content: [UInt8] = [1], as name: String = "gateway") throws {
        let fresh = "\(path)/new"
        let file = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o755)
        guard file >= 0 else { throw Errno.last }
        defer { close(file) }
        guard write(file, content, content.count) == content.count, rename(fresh, "\(path)/\(name)") == 0 else {
            throw Errno.last
        }
    }

    /// The file as the program before hands it on.
    func hold() throws -> HeldProgram {
        let file = open(program, O_RDONLY | O_CLOEXEC)
        return try #require(HeldProgram(program, PassedDescriptors(adopting: [file])))
    }
}

@Suite("HeldProgram: the very file that ran, whatever has its name")
struct HeldProgramTests {
    @Test("it is in its place until another one is, and is itself all the same")
    func place() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        #expect(held.isInPlace && held.objection == nil && held.path == folder.program)
        // What changes names changes nothing of it.
        #expect(rename(folder.program, "\(folder.path)/other") == 0)
        #expect(!held.isInPlace && held.objection == nil)
        #expect(rename("\(folder.path)/other", folder.program) == 0)
        #expect(held.isInPlace && held.objection == nil)
        try folder.put([2])
        #expect(!held.isInPlace && held.objection == nil)
        #expect(unlink(folder.program) == 0)
        #expect(!held.isInPlace && held.objection == nil)
    }

    @Test("one that was written into is another one")
    func written() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        let file = open(folder.program, O_WRONLY | O_APPEND)
        #expect(write(file, [UInt8(3)], 1) == 1)
        close(file)
        #expect(held.isInPlace && held.objection == "has been written into since")
    }

    @Test("one that others may write to is not trusted")
    func trust() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        #expect(chmod(folder.program, 0o757) == 0)
        #expect(held.objection?.hasPrefix("cannot be trusted: it can be written by every user (mode 0757); ") ?? false)
    }

    @Test("what is no file, or has no path from the root, is none")
    func nonsense() throws {
        var ends: (Int32, Int32) = (-1, -1)
        #expect(
            withUnsafeMutablePointer(to: &ends) { $0.withMemoryRebound(to: Int32.self, capacity: 2) { pipe($0) } } == 0)
        close(ends.1)
        #expect(HeldProgram("/a", PassedDescriptors(adopting: [ends.0])) == nil)
        #expect(HeldProgram("/a", PassedDescriptors()) == nil)
        let folder = try ProgramFolder()
        try folder.put()
        #expect(HeldProgram("gateway", PassedDescriptors(adopting: [open(folder.program, O_RDONLY)])) == nil)
    }

    @Test("this program hands its own on, which can be started")
    func own() throws {
        guard case .programFile(let path, let passed) = try HeldProgram.own() else { throw Errno(EBADMSG) }
        #expect(path == OwnProgram.path && path.hasPrefix("/"))
        let held = try #require(HeldProgram(path, passed))
        #expect(held.isInPlace && fcntl(held.number, F_GETFD) == FD_CLOEXEC)
        let copy = try held.duplicate()
        #expect(copy.count == 1)
        #expect(FileFingerprint(path: "/proc/self/fd/\(held.number)") == FileFingerprint(path: "/proc/self/exe"))
    }

    @Test("a child is started from it, with its own name, and its descriptors where they always are")
    func child() throws {
        let folder = try ProgramFolder()
        let shell = open("/bin/sh", O_RDONLY | O_CLOEXEC)
        defer { close(shell) }
        var content = [UInt8](repeating: 0, count: 8 << 20)
        let count = read(shell, &content, content.count)
        try folder.put(Array(content[..<count]))
        let held = try folder.hold()
        try folder.put([1])
        var pair = try DescriptorSocket.Pair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { throw Errno(EBADF) }
        let test = """
            test "$0" = here && test -S /proc/self/fd/3 && test -S /proc/self/fd/4 && test -f /proc/$$/fd/5 &&
            test ! -e /proc/$$/fd/7 && test "$GATEWAY_PROGRAM" = "5:$PPID" && exit 9
            """
        let process = try SuccessorProcess(
            ChildProgram(path: held.path, arguments: ["-c", test, "here"]), from: held, far, supervisor: nil)
        let number = try #require(process.process)
        var news = process.step()
        while !process.descriptors.isEmpty {
            var interests = process.descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            #expect(poll(&interests, nfds_t(interests.count), 30_000) == 1)
            news += process.step()
        }
        #expect(news == [.started(number), .gone("\(held.path), process \(number), exited with status 9")])
        _ = consume near
    }
}
