import Bytes
import CLinux
import GatewayConfiguration
import GatewayIO
import Glibc
import TestSupport

@testable import GatewayServer

/// A worker that a test drives turn by turn on its own thread, with a clock that stands still between turns and peers
/// that have no sockets.
final class StepWorker {
    let server: Server
    let worker: Worker
    /// The file in which it writes its connections down; -1 where it does not.
    let ledger: Int32
    private let clock: StandingClock

    private final class StandingClock {
        /// Monotonic.
        var nanoseconds: UInt64
        var stride: UInt64 = 0

        init(_ nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

        func look() -> UInt64 {
            nanoseconds += stride
            return nanoseconds
        }
    }

    /// How many nanoseconds pass from one look at the clock to the next, in the midst of a turn.
    var stride: UInt64 {
        get { clock.stride }
        set { clock.stride = newValue }
    }

    /// - Parameters:
    ///   - handler: of `/echo`.
    ///   - route: what stands in the block of `/echo`.
    ///   - rest: what stands beside it.
    ///   - capacity: how many peers there is room for.
    ///   - checkpoint: it writes them down, and that is when handlers save.
    ///   - ledger: the file for that; changes its owner. -1 for a new one.
    init(
        handler: String = "echo", route: String = "", rest: String = "", capacity: Int = 64,
        checkpoint: Isolation.Checkpoint? = nil, ledger given: Int32 = -1
    ) throws {
        let isFixture = "\(handler) \(rest)".contains("fixture_")
        let text = """
            \(isFixture ? "plugins \(Fixture.folder) { watch off; }" : "")
            listen 127.0.0.1:0; threads 1; access_log off; error_log off; control off;
            route /echo { handler \(handler); \(route) }
            \(rest)
            """
        var configuration = try Configuration.parse(Array(text.utf8), file: "gateway.conf").configuration
        for index in configuration.routes.indices {
            configuration.routes[index].limits.isolation.checkpoint = checkpoint ?? .off
        }
        for route in configuration.routes where route.handler.hasPrefix("fixture_") { Fixture.file(route.handler) }
        var variables: [String: String] = [:]
        if checkpoint != nil {
            ledger = given >= 0 ? given : try Ledger.makeFile(workers: 1, capacity: capacity).release()
            variables[SuccessionEnvironment.ledgerName] = "\(fcntl(ledger, F_DUPFD_CLOEXEC, 3)):1"
        } else {
            ledger = -1
        }
        let succession = SuccessionEnvironment(variables, parent: 1)
        server = try Server(configuration, prober: TestGateway.prober, succession: succession)
        let clock = StandingClock(server.context.startedAt)
        self.clock = clock
        worker = try Worker(
            port: server.context.ports[0], server: server.context, listeners: Listeners([]), capacity: capacity
        ) { clock.look() }
    }

    deinit { close(ledger) }

    /// What its clock says, in monotonic nanoseconds.
    var nanoseconds: UInt64 { clock.nanoseconds }

    /// The route of a number, in the order of the configuration.
    func route(_ index: Int = 0) -> Route { server.context.routing.routes[index] }

    /// Who serves it.
    func binding(_ index: Int = 0) -> UnsafeMutablePointer<Binding> { route(index).binding! }

    /// What host functions do for the handler of a route, outside of turns as if on another thread.
    func host(_ index: Int = 0) -> HostContext { HostContext.of(binding(index).pointee.generation) }

    /// Makes turns until one finds nothing to do, the first of them so many milliseconds later.
    func step(after milliseconds: UInt64 = 0) {
        clock.nanoseconds += milliseconds * 1_000_000
        onWorker {
            var count = worker.wait(milliseconds: 0)
            repeat {
                worker.work(on: count, at: clock.nanoseconds)
                // No two turns are at the same time.
                clock.nanoseconds += 1
                count = worker.wait(milliseconds: 0)
            } while count > 0 || worker.patience == 0
        }
    }

    /// The same after so many ticks of the worker.
    func step(ticks: UInt64) { step(after: ticks * TimerWheel.tickMilliseconds) }

    /// One turn in which nobody has told the worker to look at its mailbox.
    func turn(after milliseconds: UInt64 = 0) {
        clock.nanoseconds += milliseconds * 1_000_000 + 1
        onWorker { worker.work(on: 0, at: clock.nanoseconds) }
    }

    /// One turn in which it looks there, if there is something.
    func turnWithMail() {
        clock.nanoseconds += 1
        onWorker { worker.work(on: worker.wait(milliseconds: 0), at: clock.nanoseconds) }
    }

    /// Does something as the worker's thread.
    func onWorker(_ body: () -> Void) {
        unsafe clinux_set_worker(Unmanaged.passUnretained(worker).toOpaque())
        defer { clinux_set_worker(nil) }
        body()
    }

    /// A peer on a stream, which has said something.
    func connect(
        saying first: String = "", window: Int = .max, lastWord: String = "", isSurplus: Bool = false
    ) -> Peer {
        let stream = MemoryStream(window: window, lastWord: Array(lastWord.utf8))
        if isSurplus {
            server.context.surplus.add(1, ordering: .relaxed)
        } else {
            server.context.connections.add(1, ordering: .relaxed)
        }
        worker.port.load.add(1, ordering: .relaxed)
        let id = worker.acceptor.admit(
            Transport(stream: stream), ListenerOptions.plain, isSurplus: isSurplus, on: worker)
        let peer = Peer(self, stream, id)
        if !first.isEmpty { peer.say(Array(first.utf8)) }
        return peer
    }

    /// A peer that has to make some steps of a handshake first.
    func connect(handshake steps: Int, limit: HandshakeLimit, isSilent: Bool = false) -> Peer {
        let stream = MemoryStream(window: .max, handshake: steps)
        server.context.connections.add(1, ordering: .relaxed)
        worker.port.load.add(1, ordering: .relaxed)
        let options = ListenerOptions(isSecure: true, handshakes: limit)
        let id = worker.acceptor.admit(Transport(stream: stream), options, isSurplus: false, on: worker)
        let peer = Peer(self, stream, id)
        if !isSilent { peer.say([]) }
        return peer
    }

    /// A peer whose opening handshake has been answered.
    func open(_ path: String = "/echo", window: Int = .max, lastWord: String = "", headers: String = "") -> Peer {
        let peer = connect(
            saying: "GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\(headers)\r\n",
            window: window, lastWord: lastWord)
        step()
        return peer
    }

    /// What a plain request on a connection of its own is answered.
    func get(_ path: String) -> String {
        let peer = connect(saying: "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        step()
        peer.finish()
        step()
        return peer.response()
    }

    /// What `fixture_probe` has heard, line by line.
    func record() -> [String] {
        let response = get("/echo")
        return response.split(separator: "\r\n\r\n").dropFirst().joined().split(separator: "\n").map(String.init)
    }

    /// Nothing is counted any more of any connection that there was.
    var isDeserted: Bool {
        let context = server.context
        return worker.table.count == 0 && context.connections.load(ordering: .relaxed) == 0
            && context.surplus.load(ordering: .relaxed) == 0 && worker.port.load.load(ordering: .relaxed) == 0
            && context.topics.count == 0 && worker.pubSub.topics.isEmpty
            && context.routing.routes.allSatisfy { route in
                route.connections.load(ordering: .relaxed) == 0
                    && route.binding?.pointee.references.load(ordering: .relaxed) ?? 0 == 0
            }
    }

    /// The far end of a connection.
    final class Peer {
        private let owner: StepWorker
        private let stream: MemoryStream
        let id: ConnectionID?
        /// Of what it was told, the beginning of a frame that is not whole.
        private var pending: [UInt8] = []

        init(_ owner: StepWorker, _ stream: MemoryStream, _ id: ConnectionID?) {
            (self.owner, self.stream, self.id) = (owner, stream, id)
        }

        /// Its place in the worker; nil when it has none any more.
        var place: ConnectionPointer? { id.flatMap { owner.worker.table.find(slot: $0.slot, serial: $0.serial) } }

        /// The gateway waits for it to take more.
        var isBlocked: Bool { place?.pointee.outbox.isBlocked ?? false }

        /// Of its handshake.
        var stepsLeft: Int { stream.stepsLeft }

        /// The connection breaks as it does for a socket: the poller tells of it.
        func reset() {
            stream.breakage = Errno(104)
            if let place { owner.onWorker { owner.worker.readable(place, hangUp: true) } }
        }

        /// Says something, which the worker hears in its next turn.
        func say(_ bytes: [UInt8]) {
            stream.input += bytes
            if let place { owner.worker.resumeLater(place) }
        }

        /// Says text messages, all in one turn.
        func say(_ texts: String...) { say(texts.flatMap { ClientFrame(1, Array($0.utf8)).bytes }) }

        func say(_ frame: ClientFrame) { say(frame.bytes) }

        func sayClose(_ code: UInt16, _ reason: String = "") {
            say(ClientFrame(8, TestClient.Frame.close(code, reason).payload))
        }

        /// Says that it says nothing more.
        func finish() {
            stream.hasEnded = true
            if let place { owner.worker.resumeLater(place) }
        }

        /// The connection breaks.
        func fail(_ error: Errno) {
            stream.breakage = error
            if let place { owner.worker.resumeLater(place) }
        }

        /// The frames that it has been told since the last time, behind its handshake.
        func frames() -> [TestClient.Frame] {
            pending += heard()
            if pending.starts(with: Array("HTTP/1.1 101 ".utf8)) {
                let end = pending.indices.first { pending[$0...].starts(with: Array("\r\n\r\n".utf8)) }
                pending.removeFirst((end ?? 0) + 4)
            }
            var frames: [TestClient.Frame] = []
            while let (frame, length) = Self.frame(pending) {
                frames.append(frame)
                pending.removeFirst(length)
            }
            return frames
        }

        /// The frame in front, and how long it is; nil while it is not whole.
        static func frame(_ bytes: [UInt8]) -> (TestClient.Frame, Int)? {
            guard bytes.count >= 2 else { return nil }
            let extra = bytes[1] == 126 ? 2 : bytes[1] == 127 ? 8 : 0
            guard bytes.count >= 2 + extra else { return nil }
            let long = bytes[2..<2 + extra].reduce(0) { $0 << 8 | Int($1) }
            let count = extra == 0 ? Int(bytes[1]) : long
            guard bytes.count >= 2 + extra + count else { return nil }
            let payload = Array(bytes[(2 + extra)...].prefix(count))
            return (TestClient.Frame(bytes[0] & 0x0F, payload, isFinal: bytes[0] & 0x80 != 0), 2 + extra + count)
        }

        /// Where it stands; nil when it has no place any more.
        var phase: Connection.Phase? { place?.pointee.phase }

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

        /// Takes nothing more until it is widened.
        func stall() { stream.window = 0 }

        /// It was told that nothing more will come.
        var isFinished: Bool { stream.isFinished }

        /// Closing was to be heard as a reset.
        var isReset: Bool { stream.isReset }
    }
}

/// A stream in memory: it takes so many bytes, and has what the test puts into it.
final class MemoryStream: TransportLayer {
    var input: [UInt8] = []
    var hasEnded = false
    private var hasSaidEnd = false
    var output: [UInt8] = []
    var window: Int
    /// What it says of its own accord at the end; it is kept until there is room for it.
    private var lastWord: [UInt8]
    private var owesLastWord = false
    private(set) var isFinished = false
    private(set) var isReset = false
    /// What reading and writing fail with from here on.
    var breakage: Errno?

    /// Steps of a handshake before anything else.
    private(set) var stepsLeft: Int

    init(window: Int, lastWord: [UInt8] = [], handshake steps: Int = 0) {
        (self.window, self.lastWord, stepsLeft) = (window, lastWord, steps)
    }

    private func step() {
        guard leave?.takesStep() ?? true else { return }
        stepsLeft -= 1
        guard stepsLeft == 0 else { return }
        leave?.succeeded(version: "TLSv1.3", isResumed: false)
        leave = nil
    }

    override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let breakage { return .failed(breakage) }
        if stepsLeft > 0 {
            step()
            return .wouldBlock
        }
        if input.isEmpty {
            hasSaidEnd = hasEnded
            return hasEnded ? .endOfStream : .wouldBlock
        }
        let count = min(input.count, buffer.count)
        buffer.copyBytes(from: input[..<count])
        input.removeFirst(count)
        return .moved(count)
    }

    override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let breakage { return .failed(breakage) }
        let count = min(window, bytes.count)
        if count == 0 { return bytes.isEmpty ? .moved(0) : .wouldBlock }
        window -= count
        output += bytes[..<count]
        return .moved(count)
    }

    override var hasInput: Bool { stepsLeft > 0 || !input.isEmpty || hasEnded != hasSaidEnd || breakage != nil }

    override var isDrained: Bool { !owesLastWord }

    override func flush(_ socket: borrowing Socket) -> IOResult {
        guard owesLastWord else { return .moved(0) }
        guard case .moved(let count) = lastWord.withUnsafeBytes({ write(socket, $0) }) else { return .wouldBlock }
        lastWord.removeFirst(count)
        owesLastWord = !lastWord.isEmpty
        return owesLastWord ? .wouldBlock : .moved(0)
    }

    override func resetOnClose() { isReset = true }

    override func finishSending(_ socket: borrowing Socket) {
        owesLastWord = !lastWord.isEmpty
        isFinished = flush(socket) == .moved(0)
    }
}
