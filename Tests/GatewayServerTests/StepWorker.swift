import Bytes
import CLinux
import GatewayConfiguration
import GatewayIO

@testable import GatewayServer

/// A worker that a test drives turn by turn on its own thread, with a clock that stands still between turns and peers
/// that have no sockets.
final class StepWorker {
    let server: Server
    let worker: Worker
    /// Monotonic nanoseconds.
    private var clock: UInt64

    /// - Parameters:
    ///   - route: what stands in the block of `/echo`.
    ///   - rest: what stands beside it.
    init(handler: String = "echo", route: String = "", rest: String = "") throws {
        let text = """
            listen 127.0.0.1:0; threads 1; access_log off; error_log off; control off;
            route /echo { handler \(handler); \(route) }
            \(rest)
            """
        let configuration = try Configuration.parse(Array(text.utf8), file: "gateway.conf").configuration
        server = try Server(configuration, prober: TestGateway.prober)
        worker = try Worker(
            port: server.context.ports[0], server: server.context, listeners: Listeners([]), capacity: 64)
        clock = server.context.startedAt
    }

    /// Makes turns until one finds nothing to do, the first of them so many milliseconds later.
    func step(after milliseconds: UInt64 = 0) {
        clock += milliseconds * 1_000_000
        unsafe clinux_set_worker(Unmanaged.passUnretained(worker).toOpaque())
        defer { clinux_set_worker(nil) }
        repeat { worker.work(on: worker.wait(milliseconds: 0), at: clock) } while worker.patience == 0
    }

    /// A peer on a stream, which has said something.
    func connect(saying first: String = "", window: Int = .max) -> Peer {
        let stream = MemoryStream(window: window)
        server.context.connections.add(1, ordering: .relaxed)
        worker.port.load.add(1, ordering: .relaxed)
        let id = worker.acceptor.admit(
            Transport(stream: stream), ListenerOptions.plain, isSurplus: false, on: worker)
        let peer = Peer(self, stream, id)
        if !first.isEmpty { peer.say(Array(first.utf8)) }
        return peer
    }

    /// A peer whose opening handshake has been answered.
    func open(_ path: String = "/echo", window: Int = .max) -> Peer {
        let peer = connect(
            saying: "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", window: window)
        step()
        return peer
    }

    /// The far end of a connection.
    final class Peer {
        private let owner: StepWorker
        private let stream: MemoryStream
        let id: ConnectionID?

        init(_ owner: StepWorker, _ stream: MemoryStream, _ id: ConnectionID?) {
            (self.owner, self.stream, self.id) = (owner, stream, id)
        }

        /// Its place in the worker; nil when it has none any more.
        var place: ConnectionPointer? { id.flatMap { owner.worker.table.find(slot: $0.slot, serial: $0.serial) } }

        /// The gateway waits for it to take more.
        var isBlocked: Bool { place?.pointee.outbox.isBlocked ?? false }

        /// Says something, which the worker hears in its next turn.
        func say(_ bytes: [UInt8]) {
            stream.input += bytes
            if let place { owner.worker.resumeLater(place) }
        }

        /// Says that it says nothing more.
        func finish() {
            stream.hasEnded = true
            if let place { owner.worker.resumeLater(place) }
        }

        /// What it has been told since the last time.
        func heard() -> [UInt8] {
            defer { stream.output = [] }
            return stream.output
        }

        /// The same as text, of a response.
        func response() -> String { String(decoding: heard(), as: UTF8.self) }

        /// Takes so many bytes more than before.
        func widen(by count: Int) {
            stream.window += count
            if let place { owner.worker.writable(place) }
        }

        /// It was told that nothing more will come.
        var isFinished: Bool { stream.isFinished }
    }
}

/// A stream in memory: it takes so many bytes, and has what the test puts into it.
final class MemoryStream: TransportLayer {
    var input: [UInt8] = []
    var hasEnded = false
    var output: [UInt8] = []
    var window: Int
    private(set) var isFinished = false
    /// What writing fails with from here on.
    var failure: Errno?

    init(window: Int) { self.window = window }

    override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if input.isEmpty { return hasEnded ? .endOfStream : .wouldBlock }
        let count = min(input.count, buffer.count)
        buffer.copyBytes(from: input[..<count])
        input.removeFirst(count)
        return .moved(count)
    }

    override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let failure { return .failed(failure) }
        let count = min(window, bytes.count)
        if count == 0 { return bytes.isEmpty ? .moved(0) : .wouldBlock }
        window -= count
        output += bytes[..<count]
        return .moved(count)
    }

    override var hasInput: Bool { !input.isEmpty || hasEnded }

    override func finishSending(_ socket: borrowing Socket) { isFinished = true }
}
