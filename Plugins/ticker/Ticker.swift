public import GatewayHandler
internal import Synchronization

/// The server speaks first: `/ticker` hears a clock that all share, `/ticker?every=200` a timer of its own.
///
/// The clock is a service in the background, and one publication of it reaches all listeners. Timers are closures and
/// end with the generation that made them, so a newer one starts its own; both counts go on where they were.
final class Ticker: StatefulHandler, HandoverHandler {
    static let handover = Handover("gateway ticker")
    private static let topic: Topic = "clock"
    private let gateway: Gateway
    private let period: UInt16
    private let clock = Mutex((isRunning: false, ticks: 0 as UInt64))

    init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        period = max(try context.setting("every", as: UInt16.self) ?? 1000, 10)
    }

    func upgrade(_ request: borrowing Request) -> Upgrade<Listener> {
        guard let text = request.query("every") else { return .accept(Listener(period: 0)) }
        guard let period = UInt32(text), (10...3_600_000).contains(period) else {
            return .reject(.text("every: 10 to 3600000 milliseconds\n", status: 400))
        }
        return .accept(Listener(period: period))
    }

    func opened(_ connection: Connection, _ request: borrowing Request, _ listener: inout Listener) {
        if listener.period == 0 { connection.subscribe(to: Self.topic) }
        start(connection, listener)
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ listener: inout Listener) {
        connection.close(.policyViolation, reason: "a clock does not listen")
    }

    private func start(_ connection: Connection, _ listener: Listener) {
        guard listener.period > 0 else { return startClock() }
        every(.milliseconds(listener.period), on: connection) { connection, listener in
            let tick = listener.ticks.next()
            // A client that does not read gets no backlog of the past: the count goes on, and shows what was left out.
            if connection.flow?.queuedBytes == 0 { connection.send("tick \(tick)") }
        }
    }

    /// With the first listener, and not in `init`: until clients come, the generation before still ticks.
    private func startClock() {
        let isFirst = clock.withLock { clock in
            defer { clock.isRunning = true }
            return !clock.isRunning
        }
        guard isFirst else { return }
        // Weak: the gateway keeps the closure, and would keep the handler with it.
        gateway.every(.milliseconds(period)) { [weak self] in
            guard let self else { return }
            gateway.publish("clock \(clock.withLock { $0.ticks.next() })", to: Self.topic)
        }
    }
}

// MARK: - From one generation to the next

extension Ticker {
    func snapshot() -> UInt64 { clock.withLock { $0.ticks } }
    func restore(_ snapshot: UInt64) { clock.withLock { $0.ticks = snapshot } }
    func restored(_ connection: Connection, _ listener: inout Listener) { start(connection, listener) }
}

/// A client and how often it wants to hear something.
struct Listener: StateValue {
    /// Milliseconds; 0 for one that hears the clock.
    let period: UInt32
    var ticks: UInt64 = 0

    init(period: UInt32) { self.period = period }

    init(from reader: inout StateReader) throws {
        period = try reader.read()
        ticks = try reader.read()
    }

    func encode(into writer: inout StateWriter) {
        writer.write(period)
        writer.write(ticks)
    }
}

extension UInt64 {
    /// Counts on, and answers the new count.
    fileprivate mutating func next() -> UInt64 {
        self &+= 1
        return self
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Ticker.self, to: host)
}
