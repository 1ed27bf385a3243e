import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Does what a text tells it to, and counts in its state what has come back.
private final class Planner: StatefulHandler {
    struct Plan {
        var count = 0
        var timer: TimerHandle?
    }

    private let gateway: Gateway

    init(_ context: borrowing StartContext) {
        gateway = context.gateway
        gateway.post { [gateway] in gateway.log(.info, "posted by init") }
        if context.setting("tick") != nil { gateway.every(.seconds(1)) { [gateway] in gateway.log(.info, "tick") } }
    }

    func upgrade(_ request: borrowing Request) -> Upgrade<Plan> { .accept(Plan()) }

    func message(_ connection: Connection, _ message: borrowing Message, _ plan: inout Plan) throws {
        switch message.text ?? "" {
        case "post": post(to: connection, Self.count("post"))
        case "plain": connection.post { $0.send("plain") }
        case "after": plan.timer = after(.milliseconds(1500), on: connection, Self.count("after"))
        case "every": plan.timer = every(.nanoseconds(1), on: connection, Self.count("every"))
        case "cancel": connection.send("\(plan.timer?.cancel() ?? false)")
        case "wrong type": connection.post(with: String.self) { $0.send($1) }
        case "throw": connection.post { _ in throw Mishap(description: "in a post") }
        case "throw later": connection.after(.zero) { _ in throw Mishap(description: "in a timer") }
        case "work":
            try offload(for: connection) {
                $0.isCancelled
            } then: { connection, cancelled, plan in
                plan.count += 1
                connection.send("work \(cancelled) \(plan.count)")
            }
        case "bad work":
            try connection.offload { _ in
                throw Mishap(description: "in work")
            } then: {
                $0.send("\($1)")
            }
        case "bad end":
            try connection.offload { _ in
                1
            } then: { _, _ in
                throw Mishap(description: "behind work")
            }
        case "home":
            gateway.after(.milliseconds(1)) { throw Mishap(description: "at home") }
            try gateway.offload { _ in
                42
            } then: { [gateway] in
                gateway.log(.info, "\($0)")
            }
        default: break
        }
    }

    func failed(_ connection: Connection, _ failure: Failure, _ plan: inout Plan) {
        connection.log(.warning, "failed: \(failure)")
    }

    private static func count(_ what: String) -> @Sendable (Connection, inout Plan) -> Void {
        { connection, plan in
            plan.count += 1
            connection.send("\(what) \(plan.count)")
        }
    }
}

/// Nothing is kept, so a reload moves its connections without asking, but for those with a timer.
private final class Ticker: ReactiveHandler {
    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) {
        switch message.text {
        case "tick": connection.every(.seconds(1)) { $0.send("tick") }
        default: connection.post { $0.send("posted") }
        }
    }
}

@Suite("later: posts, timers and work")
struct SchedulingTests {
    private let driven: Driven
    private let state: UnsafeMutableRawPointer?
    private var said: [Call] { driven.host.deeds }

    init() {
        driven = Driven(Planner.self)
        state = driven.connect(1)
        driven.deliver()
        driven.host.set { $0.calls = [] }
    }

    private func tell(_ text: String) { driven.text(1, state, text) }

    @Test func `posts come back in order, with the state`() {
        tell("post")
        tell("plain")
        tell("post")
        #expect(said.isEmpty, "not before the callback has returned")
        driven.deliver(state)
        #expect(said == [.text(1, "post 1"), .text(1, "plain"), .text(1, "post 2")])
        driven.close(1, state)
    }

    @Test func `timers go off once or again and again`() {
        tell("after")
        #expect(driven.host.state.withLock { $0.owed.map { [$0.after, $0.every] } } == [[1500, 0]])
        driven.deliver(state)
        tell("cancel")
        #expect(said == [.text(1, "after 1"), .text(1, "false")])
        tell("every")
        #expect(driven.host.state.withLock { $0.owed.map { [$0.after, $0.every] } } == [[1, 1]])
        driven.deliver(state)
        driven.deliver(state)
        tell("cancel")
        tell("cancel")
        let rest = [Call.text(1, "every 2"), .text(1, "every 3"), .cancel(2), .text(1, "true"), .text(1, "false")]
        #expect(said.suffix(5) == rest[...])
        driven.close(1, state)
    }

    @Test func `a timer that was cancelled while it was under way does nothing`() {
        tell("after")
        let owed = driven.host.state.withLock { $0.owed }
        tell("cancel")
        for one in owed { driven.deliver(one, state) }
        #expect(said == [.cancel(1), .text(1, "true")])
        driven.close(1, state)
    }

    @Test func `work is done, and its result comes with the state`() {
        tell("work")
        driven.deliver(state)
        #expect(said == [.text(1, "work false 1")])
        driven.close(1, state)
    }

    @Test func `work whose connection has ended is told so, and nobody gets the result`() {
        tell("work")
        driven.close(1, state)
        driven.host.set { $0.calls = [] }
        driven.deliver(ended: true)
        #expect(driven.host.calls.isEmpty)
    }

    @Test(
        arguments: [
            ("throw", "in a post", "post"), ("throw later", "in a timer", "after"), ("bad work", "in work", "offload"),
            ("bad end", "behind work", "offload"),
            ("wrong type", "the state of the connection is no String", "post"),
        ])
    func `what is thrown closes the connection with 1011`(_ command: String, _ error: String, _ name: String) {
        tell(command)
        driven.deliver(state)
        #expect(said == [.close(1, 1011, "")])
        let (first, last) = (driven.host.calls.first, driven.host.calls.last)
        guard case .log(1, 4, let line)? = first, case .log(1, 3, let failed)? = last else {
            Issue.record("\(driven.host.calls)")
            return
        }
        #expect(line.hasPrefix("\(name) threw: ") && failed.hasPrefix("failed: "))
        #expect(line.hasSuffix(error))
        driven.close(1, state)
    }

    @Test func `a pool that is full throws at once, a connection that is gone does not`() {
        driven.host.set { $0.laterStatus = gw_status(GW_E_LIMIT) }
        tell("work")
        #expect(said == [.close(1, 1011, "")])
        #expect(driven.host.calls.first == .log(1, 4, "message threw: the gateway took no more work (overLimit)"))
        driven.host.set { ($0.laterStatus, $0.gone, $0.calls) = (0, [1], []) }
        tell("work")
        tell("post")
        tell("after")
        tell("cancel")
        #expect(driven.host.calls == [.text(1, "false")])
        driven.close(1, state)
    }

    @Test func `what ends with its connection is let go of`() {
        tell("post")
        tell("every")
        let owed = driven.host.state.withLock { $0.owed }
        driven.close(1, state)
        driven.host.set { $0.calls = [] }
        // A token that comes late, of a number that is not given twice, finds nothing.
        for one in owed { driven.deliver(one) }
        #expect(driven.host.calls.isEmpty)
    }

    @Test func `the handler itself posts, waits and has work done`() {
        tell("home")
        driven.deliver()
        #expect(driven.host.calls == [.log(0, 4, "after threw: at home"), .log(0, 2, "42")])
        driven.close(1, state)
        let other = Driven(Planner.self, settings: ["tick": "yes"])
        other.deliver()
        #expect(other.host.calls == [.log(0, 2, "posted by init"), .log(0, 2, "tick")])
        other.event(GW_EV_DRAINING)
        other.deliver()
        #expect(other.host.calls.count == 2, "its timers end when another generation takes over")
    }
}

@Suite("later, in a reload")
struct LaterReloadTests {
    @Test func `tokens of two generations are never the same`() {
        let hosts = (0..<2).map { _ in MockHost() }
        hosts[1].table.pointee.generation = 4
        let driven = hosts.map { Driven(Ticker.self, host: $0) }
        for one in driven { one.text(1, "tick") }
        let tokens = hosts.map { $0.state.withLock { $0.owed.map(\.token) } }
        #expect(tokens[0].count == 1 && tokens[0] != tokens[1])
        driven[1].deliver(hosts[0].state.withLock { $0.owed[0] })
        #expect(hosts[1].deeds.isEmpty)
    }

    @Test func `a connection without state stays where it is while it has a timer`() {
        let driven = Driven(Ticker.self)
        driven.text(1, "post")
        driven.text(2, "tick")
        let consent = { (connection: UInt64) in driven.save(connection, nil) != nil }
        #expect(consent(1) && !consent(2))
        driven.drop(1, nil)
        #expect(driven.host.deeds == [.text(1, "posted")], "what was posted is not lost")
        driven.deliver()
        #expect(driven.host.deeds == [.text(1, "posted"), .text(2, "tick")], "and not done twice")
    }

    @Test func `posts are run before the state is saved, and timers end`() {
        let (old, new) = (Driven(Keeper.self), Driven(Keeper.self))
        let state = old.connect(1)
        old.text(1, state, "")
        // The first post is still owed when the connection goes.
        let moved = old.move(1, state, to: new)
        #expect(old.host.deeds.suffix(2) == [.text(1, "1"), .cancel(1)])
        new.text(1, moved, "")
        new.deliver(moved)
        #expect(new.host.deeds.contains(.text(1, "2")))
        // It is the other generation's now.
        old.host.set { ($0.calls, $0.owed) = ([], []) }
        _ = old.request()
        #expect(old.host.deeds.last.map { "\($0)".contains("false") } ?? false)
        #expect(old.host.state.withLock { $0.owed.isEmpty })
        new.close(1, moved)
    }
}

/// Counts in a post.
private final class Keeper: StatefulHandler, HandoverHandler, RequestHandler {
    static let handover = Handover("keeper")
    private let last = Mutex<Connection?>(nil)
    init(_ context: borrowing StartContext) {}
    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }
    func opened(_ connection: Connection, _ request: borrowing Request, _ count: inout Int) {
        last.withLock { $0 = connection }
    }
    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {
        post(to: connection) { connection, count in
            count += 1
            connection.send("\(count)")
        }
        connection.every(.seconds(1)) { $0.send("tick") }
    }
    /// Posts to the last one that was opened, wherever it is now.
    func respond(to request: borrowing Request) -> Response? {
        .text("\(last.withLock { $0 }?.post { $0.send("late") } ?? true)")
    }
}
