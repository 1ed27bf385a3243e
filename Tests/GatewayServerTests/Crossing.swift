import GatewayIO
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// Two workers as if of two processes, and what goes from the old one to the new one.
final class Crossing {
    let old: StepWorker
    let new: StepWorker
    let ferry = Ferry()
    private(set) var transfer: ConnectionTransfer?

    /// Takes what a worker gives away.
    final class Ferry: TransferReceiver {
        struct Cargo: Sendable {
            let record: [UInt8]
            let descriptor: Int32
        }

        private let cargo = Mutex<[Cargo]>([])
        private let room = Atomic(Int.max)

        var hasRoom: Bool { cargo.withLock { $0.count } < room.load(ordering: .relaxed) }

        /// How much it has room for.
        func limit(to count: Int) { room.store(count, ordering: .relaxed) }

        func reserve(_ connection: UInt64, _ withdraw: () -> Bool) -> Bool { withdraw() }

        func take(_ connection: UInt64, _ record: [UInt8], _ descriptor: Int32) {
            cargo.withLock { $0.append(Cargo(record: record, descriptor: descriptor)) }
        }

        /// What it has taken since the last time.
        func unload() -> [Cargo] {
            cargo.withLock { cargo in
                defer { cargo = [] }
                return cargo
            }
        }
    }

    init(_ old: StepWorker, _ new: StepWorker) { (self.old, self.new) = (old, new) }

    /// The same handler in both.
    convenience init(
        _ handler: String = "fixture_counter_v1", route: String = "", rest: String = "", newRoute: String? = nil,
        capacity: Int = 64
    ) throws {
        let rest = "defaults { ping_interval off; } \(rest)"
        self.init(
            try StepWorker(handler: handler, route: route, rest: rest, capacity: capacity),
            try StepWorker(handler: handler, route: newRoute ?? route, rest: rest, capacity: capacity))
    }

    /// Has connections go over for as long as any do.
    ///
    /// - Parameters:
    ///   - patience: ticks.
    ///   - change: changes a record on its way.
    func cross(
        patience: UInt32 = 1000, facts: HandoverFacts? = nil, change: (inout ConnectionRecord) -> Void = { _ in }
    ) throws {
        let facts = facts ?? HandoverFacts(new.binding().pointee.generation)
        let bell = try ControlWaker()
        old.server.context.succession.begin(.predecessor, bell: bell)
        new.server.context.succession.begin(.successor, bell: bell)
        let transfer = try ConnectionTransfer(
            ["/echo": (old.route().handler, facts)], to: ferry, patience: patience, spread: 1, progress: ControlWaker())
        self.transfer = transfer
        old.worker.port.post(.export(transfer))
        old.step()
        try land(change: change)
    }

    /// Has those go on in the new worker that have left the old one.
    func land(change: (inout ConnectionRecord) -> Void = { _ in }) throws {
        for cargo in ferry.unload() {
            var record = try ConnectionRecord(cargo.record)
            change(&record)
            new.worker.port.post(.take(record.bytes, cargo.descriptor, received: 0))
        }
        for item in old.server.context.succession.takeOutgoing() {
            new.server.context.succession.take(item, new.server.context)
        }
        new.step()
    }

    /// Moved, refused, closed, and how many workers have seen all of theirs.
    var figures: [Int] {
        guard let transfer else { return [] }
        return [
            transfer.moved.load(ordering: .relaxed), transfer.refused.load(ordering: .relaxed),
            transfer.closed.load(ordering: .relaxed), transfer.passed.load(ordering: .relaxed),
        ]
    }

    /// Those that go on in the new worker, and those that did not.
    var landed: [Int] {
        let counters = new.server.context.succession.counters
        return [counters.taken.load(ordering: .relaxed), counters.failed.load(ordering: .relaxed)]
    }

    /// A client of the old worker.
    func connect(saying first: String = "", sendBuffer: Int32? = nil) -> SocketPeer {
        let peer = SocketPeer(of: old, sendBuffer: sendBuffer)
        if !first.isEmpty { peer.say(Array(first.utf8)) }
        return peer
    }

    /// One whose opening handshake has been answered, and the answer read.
    func open(_ query: String = "", headers: String = "", sendBuffer: Int32? = nil) -> SocketPeer {
        let peer = connect(
            saying: "GET /echo\(query) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(headers)\r\n",
            sendBuffer: sendBuffer)
        old.step()
        _ = peer.frames()
        return peer
    }
}

/// A client with a socket of its own, which never waits.
final class SocketPeer {
    private let number: Int32
    let id: ConnectionID
    private var pending: [UInt8] = []
    private(set) var hasEnded = false

    /// - Parameter sendBuffer: bytes that the kernel may hold for it.
    init(of steps: StepWorker, sendBuffer: Int32? = nil) {
        var pair: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        precondition(socketpair(AF_UNIX, type, 0, &pair) == 0, "no pair of sockets")
        if var size = sendBuffer { setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, 4) }
        number = pair[0]
        let worker = steps.worker
        steps.server.context.connections.add(1, ordering: .relaxed)
        worker.port.load.add(1, ordering: .relaxed)
        let admitted = worker.acceptor.admit(
            Transport(Socket(adopting: pair[1])), ListenerOptions.plain, isSurplus: false, on: worker)
        guard let admitted else { preconditionFailure("no place for a peer") }
        id = admitted
    }

    deinit { close(number) }

    func say(_ bytes: [UInt8]) {
        let count = bytes.withUnsafeBytes { send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count != bytes.count { Issue.record("the kernel took \(count) of \(bytes.count) bytes") }
    }

    func say(_ texts: String...) { say(texts.flatMap { ClientFrame(1, Array($0.utf8)).bytes }) }

    func finish() { shutdown(number, Int32(SHUT_WR)) }

    /// What it has been told since the last time.
    func heard() -> [UInt8] {
        var bytes: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = room.withUnsafeMutableBytes { recv(number, $0.baseAddress, $0.count, 0) }
            if count == 0 { hasEnded = true }
            if count <= 0 { return bytes }
            bytes += room[..<count]
        }
    }

    /// The frames that it has been told since the last time, behind its handshake.
    func frames() -> [TestClient.Frame] {
        pending += heard()
        if pending.starts(with: Array("HTTP/1.1 101 ".utf8)) {
            let end = pending.indices.first { pending[$0...].starts(with: Array("\r\n\r\n".utf8)) }
            pending.removeFirst((end ?? 0) + 4)
        }
        var frames: [TestClient.Frame] = []
        while let (frame, length) = StepWorker.Peer.frame(pending) {
            frames.append(frame)
            pending.removeFirst(length)
        }
        return frames
    }

    var texts: [String] { frames().map(\.text) }

    /// Its place in a worker; nil when it has none there.
    func place(in steps: StepWorker) -> ConnectionPointer? {
        steps.worker.table.find(slot: id.slot, serial: id.serial)
    }
}
