import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Counts what it hears, per connection and in all.
private final class Tally: StatefulHandler, HandoverHandler, ReloadHandler {
    static let handover = Handover("tally")
    private let total = Mutex(0)
    private let gateway: Gateway

    init(_ context: borrowing StartContext) { gateway = context.gateway }

    func snapshot() -> Int { total.withLock { $0 } }
    func restore(_ snapshot: Int) { total.withLock { $0 += snapshot } }

    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }
    func message(_ connection: Connection, _ message: borrowing Message, _ heard: inout Int) {
        heard += 1
        connection.send("\(heard) of \(total.withLock { $0 += 1; return $0 })")
    }
    func reloadPending() { gateway.log(.info, "pending") }
    func draining() { gateway.log(.info, "draining") }
}

/// The same a year later: it also keeps names, and reads what version 1 left.
private final class NamedTally: StatefulHandler, HandoverHandler {
    struct Heard: StateValue {
        var count: Int
        let token: Tracked

        init(from reader: inout StateReader) throws {
            count = try reader.read()
            token = Tracked(reader.version < 2 ? "old hand" : try reader.read())
        }

        func encode(into writer: inout StateWriter) {
            writer.write(count)
            writer.write(token.name)
        }
    }

    static let handover = Handover("tally", version: 2)
    private let faulty: String

    init(_ context: borrowing StartContext) { faulty = context.setting("throw") ?? "" }

    func snapshot() -> Int { 0 }
    func restore(_ snapshot: Int) throws {
        if faulty == "restore" { throw Mishap(description: "no room") }
    }
    func upgrade(_ request: borrowing Request) -> Upgrade<Heard> { .reject() }
    func message(_ connection: Connection, _ message: borrowing Message, _ heard: inout Heard) {
        heard.count += 1
        connection.send("\(heard.token.name) \(heard.count)")
    }
    func restored(_ connection: Connection, _ heard: inout Heard) throws {
        if faulty == "restored" { throw Mishap(description: "not you") }
    }
}

/// Reads later versions as well, for rolling back.
private final class OpenTally: ReactiveHandler, HandoverHandler {
    static let handover = Handover("tally", version: 1, readable: 1...2)
    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) {}
    func restored(_ connection: Connection, _ state: inout Void) { connection.send("welcome") }
}

/// Knows a crash from a reload, of itself and of its connections.
private final class Survivor: StatefulHandler, HandoverHandler {
    struct Origin: StateValue {
        let isCheckpoint: Bool
        init() { isCheckpoint = false }
        init(from reader: inout StateReader) throws { isCheckpoint = reader.isCheckpoint }
        func encode(into writer: inout StateWriter) {}
    }

    static let handover = Handover("survivor")
    private let gateway: Gateway

    init(_ context: borrowing StartContext) { gateway = context.gateway }

    func snapshot() -> Origin { Origin() }
    func restore(_ snapshot: Origin) { gateway.log(.info, snapshot.isCheckpoint ? "recovered" : "restored") }
    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }
    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {}
    func restored(_ connection: Connection, _ count: inout Int) { connection.send("restored with \(count)") }
    func recovered(_ connection: Connection, _ count: inout Int) { connection.send("recovered with \(count)") }
}

private final class Configured: ReactiveHandler {
    private let prefix: String
    init(_ context: borrowing StartContext) { prefix = context.setting("prefix") ?? "" }
    func message(_ connection: Connection, _ message: borrowing Message) { connection.send(prefix) }
}

private final class Vouched: ReactiveHandler {
    static let manifest = Manifest(name: "vouched", options: .stateless)
    private let prefix = "a"
    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) { connection.send(prefix) }
}

private final class Global: ReactiveHandler {
    static let manifest = Manifest(name: "global", options: .keepsGlobals)
    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) {}
}

@Suite("what a module says about its state")
struct StatelessnessTests {
    @Test(
        arguments: [
            (Echo.self, true), (Everything.self, true), (Configured.self, false), (Vouched.self, true),
            (Global.self, false), (Careful.self, false), (Tally.self, false), (OpenTally.self, false),
        ] as [(any Handler.Type, Bool)])
    func `is "stateless" without a line where nothing can be kept`(_ handler: any Handler.Type, _ isStateless: Bool) {
        let flags = Module.export(handler, to: MockHost().table)!.pointee.flags
        #expect((flags & UInt32(GW_HF_STATELESS) != 0) == isStateless)
        #expect(flags & ~UInt32(63) == 0)
    }

    @Test func `is a name as a number, and a version`() {
        let (one, two) = (Driven(Tally.self).table, Driven(NamedTally.self).table)
        #expect(one.state_format == two.state_format && one.state_format != 0)
        #expect((one.state_version, two.state_version) == (1, 2))
        #expect(Handover("tally").format == one.state_format && Handover("tale").format != one.state_format)
        #expect(one.save_self != nil && one.restore_self != nil && one.save_conn != nil && one.restore_conn != nil)
        #expect(Driven(Careful.self).table.state_format == 0)
    }
}

@Suite("handing state over")
struct HandoverTests {
    @Test func `numbers go on where they were`() {
        let (old, new) = (Driven(Tally.self), Driven(Tally.self))
        let states = [old.connect(1), old.connect(2)]
        old.text(1, states[0], "a")
        old.text(2, states[1], "b")
        #expect(old.handOver(to: new) == GW_OK)
        let moved = old.move(1, states[0], to: new)
        new.text(1, moved, "c")
        #expect(new.host.deeds == [.text(1, "2 of 3")])
        // Who stays behind is served as before.
        old.text(2, states[1], "d")
        #expect(old.host.deeds.last == .text(2, "2 of 3"))
        new.close(1, moved)
        old.close(2, states[1])
    }

    @Test func `a checkpoint is no handover, for the handler and for each connection`() {
        let checkpoint = UInt32(GW_SAVED_CHECKPOINT)
        let survivor = Driven(Survivor.self)
        #expect(survivor.restore([]) == GW_OK && survivor.restore([], flags: checkpoint) == GW_OK)
        let saved = StateWriter.of(7)
        // A bit that means nothing yet is none that does.
        let states = [
            survivor.restore(1, saved), survivor.restore(2, saved, flags: checkpoint),
            survivor.restore(3, saved, flags: ~checkpoint),
        ]
        #expect(states.allSatisfy { $0.status == GW_OK })
        #expect(
            survivor.host.calls == [
                .log(0, 2, "restored"), .log(0, 2, "recovered"), .text(1, "restored with 7"),
                .text(2, "recovered with 7"), .text(3, "restored with 7"),
            ])
        // Who does not tell them apart hears of a reload.
        let other = Driven(OpenTally.self)
        #expect(other.restore(1, [], flags: checkpoint).status == GW_OK)
        #expect(other.host.deeds == [.text(1, "welcome")])
    }

    @Test func `a gateway whose struct ends before the flags has no checkpoints`() {
        let survivor = Driven(Survivor.self)
        let old = 40
        #expect(MemoryLayout<gw_saved>.offset(of: \.flags) == old)
        let saved = StateWriter.of(7)
        _ = survivor.restore(1, saved, flags: UInt32(GW_SAVED_CHECKPOINT), size: old)
        _ = survivor.restore(2, saved, flags: UInt32(GW_SAVED_CHECKPOINT), size: old + 4)
        #expect(survivor.host.deeds == [.text(1, "restored with 7"), .text(2, "recovered with 7")])
    }

    @Test func `saving changes nothing`() {
        let old = Driven(Tally.self)
        let state = old.connect(1)
        old.text(1, state, "a")
        #expect(old.save() == old.save() && old.save(1, state) == old.save(1, state))
        old.text(1, state, "b")
        #expect(old.host.deeds.last == .text(1, "2 of 2"))
        old.close(1, state)
    }

    @Test func `a later version reads an earlier one, and not the other way round`() {
        let (one, two) = (Driven(Tally.self), Driven(NamedTally.self))
        let state = one.connect(1)
        one.text(1, state, "a")
        #expect(one.handOver(to: two) == GW_OK)
        let moved = one.move(1, state, to: two)
        two.text(1, moved, "b")
        #expect(two.host.deeds == [.text(1, "old hand 2")])

        let back = two.save(1, moved)!
        #expect(one.restore(1, back, version: 2).status == GW_E_FAILED)
        #expect(
            one.host.calls.last
                == .log(1, 3, "not handed over: version 2 of the saved state is none that this module reads"))
        #expect(Driven(OpenTally.self).restore(1, back, version: 2).status == GW_OK)
        two.close(1, moved)
    }

    @Test func `is refused under another name, with bytes too many, or too few`() {
        let (old, new) = (Driven(Tally.self), Driven(Tally.self))
        let state = old.connect(1)
        let (itself, connection) = (old.save()!, old.save(1, state)!)
        #expect(new.restore(itself, format: 1) == GW_E_FAILED)
        #expect(new.restore(1, connection, format: 1).status == GW_E_FAILED)
        #expect(new.restore(itself + [0]) == GW_E_FAILED)
        #expect(new.restore(1, connection + [0]).status == GW_E_FAILED)
        for count in 0..<8 {
            #expect(new.restore(Array(itself.prefix(count))) == GW_E_FAILED)
            let refused = new.restore(1, Array(connection.prefix(count)))
            #expect(refused.status == GW_E_FAILED && refused.state == nil)
        }
        #expect(new.host.deeds.isEmpty)
        old.close(1, state)
    }

    @Test func `is refused once in the log, ten thousand times in silence`() {
        let new = Driven(Tally.self)
        for connection: UInt64 in 1...3 { _ = new.restore(connection, []) }
        let line = "not handed over: the saved state ends too early"
        #expect(new.host.calls == [.log(1, 3, line), .log(2, 1, line), .log(3, 1, line)])
    }

    @Test func `what the author throws is a refusal, and leaves nothing behind`() {
        let bytes = StateWriter.of(1, "not me")
        let new = Driven(NamedTally.self, settings: ["throw": "restored"])
        #expect(new.restore(1, bytes).status == GW_E_FAILED)
        #expect(new.host.calls == [.log(1, 3, "not handed over: not you")])
        #expect(Tracked.counts(of: "not me") == .init(made: 1, freed: 1))
        let other = Driven(NamedTally.self, settings: ["throw": "restore"])
        #expect(other.restore(StateWriter.of(1)) == GW_E_FAILED)
        #expect(other.host.calls == [.log(0, 4, "starts afresh: no room")])
    }

    @Test func `a connection without state moves, too`() {
        let new = Driven(OpenTally.self)
        let moved = new.restore(1, [])
        #expect(moved.status == GW_OK && moved.state == nil)
        #expect(new.host.calls == [.text(1, "welcome")])
        #expect(new.save() == [] && new.save(1, nil) == [])
    }

    @Test func `a full sink is an error`() {
        let old = Driven(Tally.self)
        old.host.set { $0.status = gw_status(GW_E_LIMIT) }
        #expect(old.save() == nil)
    }

    @Test func `a lost state is an error, not a crash`() {
        let old = Driven(Tally.self)
        #expect(old.save(1, nil) == nil)
    }

    @Test func `the handler hears of a reload`() {
        let old = Driven(Tally.self)
        old.event(GW_EV_RELOAD_PENDING)
        old.event(GW_EV_DRAINING)
        old.event(GW_EV_TIMER)
        #expect(old.host.calls == [.log(0, 2, "pending"), .log(0, 2, "draining")])
    }
}

extension StateWriter {
    /// Values one after the other.
    fileprivate static func of<each Value: StateValue>(_ value: repeat each Value) -> [UInt8] {
        var writer = StateWriter()
        repeat writer.write(each value)
        return writer.bytes
    }
}
