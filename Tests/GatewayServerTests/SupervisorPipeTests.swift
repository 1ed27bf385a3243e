import GatewayIO
import Glibc
import HandlerModules
import Testing

@testable import GatewayServer

/// The far end, in a class for the tests to hold.
private final class Watcher {
    var link: SuccessionLink
    init(_ socket: consuming DescriptorSocket) throws { link = try SuccessionLink(socket) }
}

@Suite("SupervisorPipe: what a program asks of the process that watches over it, and what it hears")
struct SupervisorPipeTests {
    private static func pair() throws -> (SupervisorPipe, Watcher) {
        var pair = try DescriptorSocket.Pair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { throw Errno(EBADF) }
        return (try SupervisorPipe(near), try Watcher(far))
    }

    @Test("a child is asked for with its descriptor, and what becomes of it is told in order")
    func start() throws {
        let (pipe, watcher) = try Self.pair()
        var way = try DescriptorSocket.Pair()
        guard let far = way.takeFar(), let near = way.takeNear() else { throw Errno(EBADF) }
        let program = ChildProgram(path: "/bin/gateway", arguments: ["run"], variables: ["A": "b"])
        try pipe.start(program, predecessor: far)
        pipe.tellServing(12)
        #expect(pipe.turn().isEmpty)
        let messages = try watcher.link.turn()
        guard messages.count == 2, case .start(program, let passed) = messages[0], case .serves(12) = messages[1] else {
            throw Errno(EBADMSG)
        }
        // It is the other end of that way.
        guard let taken = passed.take()?.release() else { throw Errno(EBADF) }
        #expect(DescriptorSocket(adopting: taken).write([7]) == .moved(1))
        var bytes: [UInt8] = []
        #expect(near.read(appendingTo: &bytes, atMost: 8, PassedDescriptors()) == .moved(1) && bytes == [7])
        watcher.link.send(.started(process: 99))
        watcher.link.send(.notStarted("why"))
        watcher.link.send(.childEnded(process: 99, ChildEnd(signal: 9, status: 0)))
        _ = try watcher.link.turn()
        #expect(pipe.turn() == [.started(99), .notStarted("why"), .ended(99, ChildEnd(signal: 9, status: 0))])
    }

    @Test("a file that has lost its name goes ahead, and stands in the way to it for those who do not know that")
    func file() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        try folder.put([2])
        let (pipe, watcher) = try Self.pair()
        var way = try DescriptorSocket.Pair()
        guard let far = way.takeFar() else { throw Errno(EBADF) }
        try pipe.start(ChildProgram(path: held.path, arguments: ["run"]), from: held, predecessor: far)
        _ = pipe.turn()
        let messages = try watcher.link.turn()
        guard messages.count == 2, case .programFile(let path, let passed) = messages[0],
            case .start(let program, _) = messages[1]
        else { throw Errno(EBADMSG) }
        let taken = try #require(HeldProgram(path, passed))
        #expect(taken.path == folder.program && !taken.isInPlace)
        #expect(FileFingerprint(path: program.path) == FileFingerprint(descriptor: taken.number))
        #expect(program.arguments == ["run"] && program.path.hasPrefix("/proc/\(getpid())/fd/"))
    }

    @Test("the end of the watching process is told once, after what it said; nonsense is the same as its end")
    func gone() throws {
        for message in [nil, SuccessionMessage.ready([])] {
            let pipe: SupervisorPipe
            do {
                let made = try Self.pair()
                pipe = made.0
                made.1.link.send(.started(process: 4))
                if let message { made.1.link.send(message) }
                _ = try made.1.link.turn()
            }
            let events = pipe.turn()
            #expect(events.count == 2 && events[0] == .started(4))
            guard case .gone(let why)? = events.last else { throw Errno(EBADMSG) }
            #expect(why.contains("ready") == (message != nil))
            #expect(pipe.turn().isEmpty)
        }
    }
}
