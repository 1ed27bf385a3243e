package import GatewayIO
import Glibc

/// A command that came over the control socket, and the client to answer.
package struct ControlRequest: Sendable, Equatable {
    /// Names the client; one that has gone meanwhile is no error.
    package let client: UInt64
    package let command: ControlCommand
}

/// The socket for `gateway status`, `reload` and the like: commands in, answers out. It belongs to the control thread.
///
/// It has a poller of its own, so that its owner registers one number and calls `turn` when that is readable or
/// `deadline` has come. Nothing here blocks: the answer to a slow reader waits in a buffer of its own, and not for
/// long.
///
///     accept ─▶ reading ──line──▶ waiting ──answer──▶ writing ─▶ gone
///                  └── no command: answered here ─────────┘
///
/// A client that follows something is told of it piece by piece (`begin`, `send`) before it gets its answer.
package struct ControlSocket: ~Copyable {
    /// Clients at once; more are turned away, since only root and our own user come here.
    package static let mostClients = 16
    /// How long a client may take to send its line, and to take its answer.
    package static let patience: UInt64 = 10_000_000_000

    private enum Phase {
        case reading
        /// The answer is being worked on, as long as that takes.
        case waiting
        case writing
        /// It is told piece by piece; an answer is the end of that.
        case following
    }

    private final class Client {
        let socket: Socket
        var phase = Phase.reading
        /// The line as far as it came, then the answer.
        var bytes: [UInt8] = []
        /// How much of the answer the kernel has taken.
        var sent = 0
        /// Monotonic nanoseconds; nil while it waits for us.
        var deadline: UInt64?

        init(_ socket: consuming Socket, deadline: UInt64) {
            self.socket = socket
            self.deadline = deadline
        }

        func begin(_ answer: ControlAnswer, _ now: UInt64) {
            // What it was told before and has not taken goes before it.
            bytes = phase == .following ? bytes.dropFirst(sent) + answer.bytes : answer.bytes
            sent = 0
            phase = .writing
            deadline = now &+ ControlSocket.patience
        }
    }

    /// Where it listens.
    package let path: String
    private var door: ClientListener<Client>

    /// Listens, for our own user alone; a socket file left over from a crash is replaced, one in use is EADDRINUSE.
    ///
    /// - Parameter adopted: a socket that another program of this gateway has listened with there.
    package init(path: String, adopted: consuming FileDescriptor? = nil) throws(Errno) {
        let number = adopted.take()?.release()
        door = try ClientListener(number.map { .adopted($0) } ?? .privateUnix(path: path))
        self.path = path
    }

    /// For registration with the control thread's poller, as readable.
    package var number: Int32 { door.poller.number }

    /// When `turn` must be called even if nothing happens, in monotonic nanoseconds; nil = never.
    package var deadline: UInt64? {
        var earliest = door.pausedUntil
        for client in door.clients.values {
            if let deadline = client.deadline { earliest = min(deadline, earliest ?? deadline) }
        }
        return earliest
    }

    /// Does everything that can be done now; answers the commands that are complete, in the order of their arrival.
    package mutating func turn(now: UInt64 = Clock.monotonicNanoseconds()) throws(Errno) -> [ControlRequest] {
        var requests: [ControlRequest] = []
        for index in 0..<(try door.wait(now: now)) {
            let event = door.poller[index]
            if door.isNewcomers(event) {
                try accept(now)
            } else if let client = door.clients[event.token], !serve(client, event, now, &requests) {
                door.clients[event.token] = nil
            }
        }
        for (token, client) in door.clients where client.deadline.map({ $0 <= now }) == true {
            door.clients[token] = nil
        }
        return requests
    }

    /// Sends an answer, now or whenever the client takes it. A client that has gone needs none.
    package mutating func answer(
        _ client: UInt64, _ answer: ControlAnswer, now: UInt64 = Clock.monotonicNanoseconds()
    ) {
        guard let asking = door.clients[client], asking.phase == .waiting || asking.phase == .following else { return }
        asking.begin(answer, now)
        if !write(asking, token: client) { door.clients[client] = nil }
    }

    /// Whether a client is still there and waits for an answer.
    package func isAwaited(by client: UInt64) -> Bool {
        guard let phase = door.clients[client]?.phase else { return false }
        return phase == .waiting || phase == .following
    }

    /// The client has taken everything that it was sent: it may be sent more, and no buffer grows.
    package func isReady(_ client: UInt64) -> Bool { door.clients[client].map { $0.sent == $0.bytes.count } ?? false }

    /// Sends a part of what a client follows, now or when the client takes it; an answer ends it.
    package mutating func send(_ client: UInt64, _ text: String) {
        guard let following = door.clients[client], following.phase == .waiting || following.phase == .following else {
            return
        }
        if following.phase == .waiting || following.sent == following.bytes.count {
            (following.bytes, following.sent) = ([], 0)
        }
        following.phase = .following
        following.bytes += text.utf8
        if !write(following, token: client) { door.clients[client] = nil }
    }

    /// Whether somebody who has come in has not got an answer: with its command on the way, waiting, or reading it.
    package var owesAnswers: Bool { door.clients.values.contains { $0.phase != .following } }

    /// Accepts no new client and removes the file, so that the next gateway can listen there; answers can still be
    /// given.
    package mutating func stopListening() { door.stopListening() }

    /// Another program of this gateway listens here from now on; clients that are here get their answers.
    package mutating func giveAway() throws(Errno) -> FileDescriptor? { try door.giveAway() }

    /// That program has gone.
    package mutating func takeBack() throws(Errno) { try door.takeBack() }

    // MARK: Clients

    private mutating func accept(_ now: UInt64) throws(Errno) {
        // A bound for one turn: clients that still wait are reported again.
        for _ in 0..<Self.mostClients {
            guard let socket = try door.next(now: now) else { return }
            admit(socket, now)
        }
    }

    private mutating func admit(_ socket: consuming Socket, _ now: UInt64) {
        // The mode of the file keeps others out already, but for where file systems or containers do not heed it.
        guard let user = socket.peerUser, user == geteuid() || user == 0 else {
            return Self.turnAway(socket, "only the user of the gateway and root are heard here", exit: 77)
        }
        guard door.clients.count < Self.mostClients else {
            return Self.turnAway(socket, "too many others are asking, try again", exit: 75)
        }
        let client = Client(socket, deadline: now &+ Self.patience)
        do throws(Errno) {
            try door.add(client, number: client.socket.number)
        } catch {
            Self.turnAway(client.socket, "out of resources: \(error)", exit: 75)
        }
    }

    /// Says why, if the kernel takes it at once, as it does with a fresh socket, and closes.
    private static func turnAway(_ socket: borrowing Socket, _ reason: String, exit: Int32) {
        _ = socket.write(ControlAnswer("error: \(reason)", exit: exit).bytes[...])
    }

    /// False when the client is to go.
    private func serve(
        _ client: Client, _ event: Poller.Event, _ now: UInt64, _ requests: inout [ControlRequest]
    ) -> Bool {
        switch client.phase {
        case .reading: return read(client, token: event.token, now, &requests)
        // Nothing is asked of it while it waits, so this is its end.
        case .waiting: return !event.isHangUp
        case .writing: return write(client, token: event.token)
        case .following: return !event.isHangUp && write(client, token: event.token)
        }
    }

    private func read(
        _ client: Client, token: UInt64, _ now: UInt64, _ requests: inout [ControlRequest]
    ) -> Bool {
        let room = ControlCommand.longestLine - client.bytes.count
        switch client.socket.read(appendingTo: &client.bytes, atMost: room) {
        case .wouldBlock: return true
        case .endOfStream, .failed: return false
        case .moved: break
        }
        guard let end = client.bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            guard client.bytes.count >= ControlCommand.longestLine else { return true }
            return refuse(client, token: token, "the line is too long", now)
        }
        do throws(ControlCommand.Failure) {
            let command = try ControlCommand(line: client.bytes[..<end])
            client.phase = .waiting
            client.bytes = []
            client.deadline = nil
            requests.append(ControlRequest(client: token, command: command))
            return watch(client, token, [])
        } catch {
            return refuse(client, token: token, error.sentence, now)
        }
    }

    private func refuse(_ client: Client, token: UInt64, _ reason: String, _ now: UInt64) -> Bool {
        client.begin(ControlAnswer("error: \(reason)", exit: 2), now)
        return write(client, token: token)
    }

    /// False when all is sent, or the client does not take it any more.
    private func write(_ client: Client, token: UInt64) -> Bool {
        while client.sent < client.bytes.count {
            switch client.socket.write(client.bytes[client.sent...]) {
            case .moved(let count): client.sent += count
            case .wouldBlock: return watch(client, token, .writable)
            case .endOfStream, .failed: return false
            }
        }
        // There is more to come; of a client that leaves the poller tells without being asked.
        return client.phase == .following && watch(client, token, [])
    }

    private func watch(_ client: Client, _ token: UInt64, _ interest: Poller.Interest) -> Bool {
        door.watch(client.socket.number, token, interest)
    }
}
