import GatewayControl
import GatewayIO
import Glibc
import Testing

@Suite("The control socket: several clients, none of which can hold the gateway up")
struct ControlSocketTests {
    /// A folder that goes away with everything in it.
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/gatewayXXXXXX\0".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }

        var socket: String { path + "/control.sock" }

        deinit {
            unlink(socket)
            rmdir(path)
        }
    }

    private func client(_ folder: Folder, _ text: String) throws -> Socket {
        let socket = try Socket(connectingTo: folder.socket, timeout: 20)
        let bytes = Array(text.utf8)
        try #require(socket.write(bytes[...]) == .moved(bytes.count))
        return socket
    }

    /// Everything that comes until the other end closes.
    private func answer(_ socket: borrowing Socket) -> String {
        var bytes: [UInt8] = []
        while case .moved = socket.read(appendingTo: &bytes, atMost: 65536) {}
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whether the client waits for something, and may be sent more.
    private func state(_ control: borrowing ControlSocket, _ client: UInt64) -> [Bool] {
        [control.isAwaited(by: client), control.isReady(client)]
    }

    private func owes(_ control: borrowing ControlSocket) -> Bool { control.owesAnswers }

    /// Turns until so many commands have come; a unix socket delivers before `write` returns, so each turn gets on.
    private func requests(_ control: inout ControlSocket, _ count: Int) throws -> [ControlRequest] {
        var requests: [ControlRequest] = []
        for _ in 0..<100 where requests.count < count { requests += try control.turn() }
        return requests
    }

    @Test func `a command in, an answer out, now or later, in any order`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let first = try client(folder, "reload chat\n")
        let second = try client(folder, "status json\nignored")
        let found = try requests(&control, 2)
        #expect(found.map(\.command) == [.reload("chat"), .status(.json)])
        control.answer(found[1].client, ControlAnswer("{}", exit: 0))
        #expect(answer(second) == "{}\nexit 0\n")
        control.answer(found[0].client, ControlAnswer("refused", exit: 75))
        #expect(answer(first) == "refused\nexit 75\n")
        // Whoever was answered is gone: a second answer reaches nobody and harms nothing.
        control.answer(found[0].client, ControlAnswer("again", exit: 0))
        #expect(control.deadline == nil)
    }

    @Test func `whoever has come in is owed an answer, until it has all of it`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        #expect(owes(control) == false)
        let peer = try client(folder, "")
        #expect(try control.turn().isEmpty)
        #expect(owes(control) == true, "its command may be on the way")
        #expect(peer.write(Array("status\n".utf8)[...]) == .moved(7))
        let found = try requests(&control, 1)
        #expect(owes(control) == true)
        control.answer(found[0].client, ControlAnswer("", exit: 0))
        #expect(owes(control) == false)
        let following = try client(folder, "trace route=/a\n")
        control.send(try requests(&control, 1)[0].client, "one\n")
        #expect(owes(control) == false, "who follows something is not waited for")
        following.finishSending()
    }

    @Test func `a line that comes byte by byte is one command`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let peer = try client(folder, "")
        for byte in Array("drain\n".utf8) {
            #expect(try control.turn().isEmpty)
            #expect(peer.write([byte]) == .moved(1))
        }
        #expect(try requests(&control, 1).map(\.command) == [.drain(nil)])
    }

    @Test(arguments: [
        (
            "frobnicate\n",
            "error: known are status, connections, trace, reload, rollback, upgrade, stop and drain\nexit 2\n"
        ),
        ("\n", "error: known are status, connections, trace, reload, rollback, upgrade, stop and drain\nexit 2\n"),
        ("rollback\n", "error: rollback needs the name of a handler\nexit 2\n"),
        (String(repeating: "x", count: ControlCommand.longestLine), "error: the line is too long\nexit 2\n"),
    ])
    func `what is no command is answered at once`(_ line: String, _ expected: String) throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let peer = try client(folder, line)
        for _ in 0..<4 { #expect(try control.turn().isEmpty) }
        #expect(answer(peer) == expected)
    }

    @Test func `a client that does not read costs a buffer and, after a while, itself`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let slow = try client(folder, "status\n")
        let found = try requests(&control, 1)
        let now = Clock.monotonicNanoseconds()
        let long = String(repeating: "x", count: 8 << 20)
        control.answer(found[0].client, ControlAnswer(long, exit: 0), now: now)
        #expect(control.deadline == now + ControlSocket.patience)
        // Others are served meanwhile.
        let other = try client(folder, "stop\n")
        let next = try requests(&control, 1)
        #expect(next.map(\.command) == [.stop(nil)])
        control.answer(next[0].client, ControlAnswer("", exit: 0))
        #expect(answer(other) == "exit 0\n")
        _ = try control.turn(now: now + ControlSocket.patience)
        #expect(control.deadline == nil)
        #expect(answer(slow).utf8.count < long.utf8.count)
    }

    @Test func `a long answer arrives whole`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let peer = try client(folder, "status\n")
        let found = try requests(&control, 1)
        let long = String(repeating: "0123456789abcde\n", count: 1 << 16)
        control.answer(found[0].client, ControlAnswer(long, exit: 0))
        var bytes: [UInt8] = []
        while control.deadline != nil {
            _ = peer.read(appendingTo: &bytes, atMost: 65536)
            #expect(try control.turn().isEmpty)
        }
        bytes += Array(answer(peer).utf8)
        #expect(ControlAnswer(bytes: bytes) == ControlAnswer(long, exit: 0))
    }

    @Test func `what a client follows comes piece by piece, and the answer behind it`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let peer = try client(folder, "trace route=/a\n")
        let asking = try requests(&control, 1)[0].client
        #expect(state(control, asking) == [true, true])
        control.send(asking, "one\n")
        var bytes: [UInt8] = []
        #expect(peer.read(appendingTo: &bytes, atMost: 100) == .moved(4))
        #expect(state(control, asking) == [true, true])
        #expect(control.deadline == nil)
        control.send(asking, "two\n")
        control.answer(asking, ControlAnswer("three", exit: 0))
        #expect(answer(peer) == "two\nthree\nexit 0\n")
        #expect(state(control, asking) == [false, false])
    }

    @Test func `a follower that does not read is not ready, and loses nothing of what it was sent`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let peer = try client(folder, "trace route=/a\n")
        let asking = try requests(&control, 1)[0].client
        let long = String(repeating: "0123456789abcde\n", count: 1 << 16)
        control.send(asking, long)
        #expect(state(control, asking) == [true, false])
        // It may take its time: nobody waits for it, and it is given nothing more.
        #expect(control.deadline == nil)
        control.answer(asking, ControlAnswer("end", exit: 0))
        var bytes: [UInt8] = []
        while control.deadline != nil {
            _ = peer.read(appendingTo: &bytes, atMost: 65536)
            #expect(try control.turn().isEmpty)
        }
        bytes += Array(answer(peer).utf8)
        #expect(ControlAnswer(bytes: bytes) == ControlAnswer(long + "end\n", exit: 0))
    }

    @Test func `a follower that leaves is forgotten`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let asking: UInt64
        do {
            let peer = try client(folder, "trace route=/a\n")
            asking = try requests(&control, 1)[0].client
            control.send(asking, "one\n")
            #expect(state(control, asking) == [true, true])
            _ = peer.number
        }
        for _ in 0..<4 { #expect(try control.turn().isEmpty) }
        #expect(state(control, asking) == [false, false])
        control.send(asking, "two\n")
    }

    @Test func `a client that says nothing, or leaves, is forgotten`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        let silent = try client(folder, "stat")
        let now = Clock.monotonicNanoseconds()
        _ = try control.turn(now: now)
        #expect(control.deadline == now + ControlSocket.patience)
        _ = try control.turn(now: now + ControlSocket.patience)
        #expect(answer(silent) == "")
        do { _ = try client(folder, "reload\n") }
        // It has left before the line is read, and again before the answer is there.
        let found = try requests(&control, 1)
        _ = try control.turn()
        for request in found { control.answer(request.client, ControlAnswer("late", exit: 0)) }
        #expect(control.deadline == nil)
    }

    @Test func `more clients than fit are told so`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        var peers: [Int32] = []
        for _ in 0..<ControlSocket.mostClients { peers.append(try client(folder, "").release()) }
        for _ in 0..<2 { #expect(try control.turn().isEmpty) }
        let last = try client(folder, "status\n")
        #expect(try control.turn().isEmpty)
        #expect(answer(last).hasPrefix("error: too many others are asking"))
        for number in peers { close(number) }
        _ = try control.turn()
        let next = try client(folder, "status\n")
        #expect(try requests(&control, 1).count == 1)
        _ = next.number
    }

    @Test func `the file is for its owner alone, and goes with the socket`() throws {
        let folder = try Folder()
        do {
            let control = try ControlSocket(path: folder.socket)
            var status = stat()
            #expect(lstat(folder.socket, &status) == 0)
            #expect(status.st_mode & S_IFMT == S_IFSOCK)
            #expect(status.st_mode & 0o777 == 0o600)
            _ = control.number
        }
        #expect(access(folder.socket, F_OK) != 0)
    }

    @Test func `a socket in use is refused and unharmed`() throws {
        let folder = try Folder()
        var control = try ControlSocket(path: folder.socket)
        do throws(Errno) {
            _ = try ControlSocket(path: folder.socket)
            Issue.record("two listen at one path")
        } catch {
            #expect(error.code == EADDRINUSE)
        }
        _ = try control.turn()
        let peer = try client(folder, "stop\n")
        #expect(try requests(&control, 1).map(\.command) == [.stop(nil)])
        _ = peer.number
    }

    @Test func `nobody there is a sentence`() throws {
        let folder = try Folder()
        #expect(throws: ControlClient.Failure.unreachable("No such file or directory")) {
            try ControlClient.ask(.stop(nil), at: folder.socket, seconds: 1)
        }
    }
}
