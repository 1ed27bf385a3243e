import GatewayIO
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// Hand-overs between two bindings in one worker; the control thread's part is the test's.
@Suite("A connection migrator")
struct ConnectionMigratorTests {
    /// Connections are opened at `/echo`, and go to where `/next` is served.
    private func start(
        from old: String = "counter_v1", to new: String = "counter_v2", route: String = "", next: String = ""
    ) throws -> StepWorker {
        try StepWorker(
            handler: "fixture_\(old)", route: route,
            rest: """
                defaults { ping_interval off; close_timeout 1h; }
                route /next { handler fixture_\(new); \(next) }
                """)
    }

    private func open(_ steps: StepWorker, _ path: String = "/echo") -> StepWorker.Peer {
        let peer = steps.open(path)
        _ = peer.frames()
        return peer
    }

    /// - Parameter patience: in ticks.
    private func begin(
        _ way: Handover.Kind, _ steps: StepWorker, patience: UInt32 = 100, isStateless: Bool = false,
        to target: UnsafeMutablePointer<Binding>? = nil
    ) throws -> Handover {
        let handover = Handover(
            way, from: steps.binding(), to: target ?? steps.binding(1), isStateless: isStateless, patience: patience,
            progress: try ControlWaker())
        steps.worker.port.post(.handover(handover))
        return handover
    }

    /// One whose first pass is over.
    private func begun(
        _ way: Handover.Kind, _ steps: StepWorker, to target: UnsafeMutablePointer<Binding>? = nil
    ) throws -> Handover {
        let handover = try begin(way, steps, to: target)
        steps.step()
        return handover
    }

    /// How many moved, were refused, and were closed, and how many workers have looked at all.
    private func figures(_ handover: Handover) -> [Int] {
        [
            handover.moved.load(ordering: .relaxed), handover.refused.load(ordering: .relaxed),
            handover.closed.load(ordering: .relaxed), handover.passed.load(ordering: .relaxed),
        ]
    }

    private func say(_ text: String, _ peer: StepWorker.Peer, _ steps: StepWorker) -> [String] {
        peer.say(text)
        steps.step()
        return peer.frames().map(\.text)
    }

    // MARK: swap

    @Test func `swap: connections get the limits of the other binding, and nobody is asked`() throws {
        let steps = try start(route: "ping_interval 30s;", next: "ping_interval 320ms; max_message 4;")
        let peers = [open(steps), open(steps)]
        #expect(say("a", peers[0], steps) == ["1 1 a"])
        let swapped = Binding.make(steps.binding().pointee.instanceContext, route: steps.route(1))
        let handover = try begin(.swap, steps, to: swapped)
        steps.step()
        #expect(figures(handover) == [2, 0, 0, 1])
        #expect(steps.route(0).connections.load(ordering: .relaxed) == 0)
        #expect(steps.route(1).connections.load(ordering: .relaxed) == 2)
        #expect(steps.binding().pointee.references.load(ordering: .relaxed) == 0)
        #expect(swapped.pointee.references.load(ordering: .relaxed) == 2)
        #expect(say("b", peers[0], steps) == ["1 2 b"])
        steps.step(ticks: 9)
        #expect(peers[0].frames().isEmpty)
        steps.step(ticks: 1)
        for peer in peers { #expect(peer.frames().map(\.opcode) == [9]) }
        peers[1].say("12345")
        steps.step()
        #expect(peers[1].frames().last?.closeCode == 1009)
    }

    // MARK: migrate

    @Test func `migrate: a connection goes over with its state, its topics and its timers`() throws {
        let steps = try start()
        let peers = [open(steps), open(steps)]
        #expect(say("a", peers[0], steps) == ["1 1 a"])
        for peer in peers { peer.say("join") }
        peers[1].say("later")
        steps.step()
        for peer in peers { _ = peer.frames() }
        let handover = try begin(.migrate, steps)
        steps.step()
        #expect(figures(handover) == [2, 0, 0, 1])
        #expect(say("b", peers[0], steps) == ["2 3 b"])
        #expect(say("c", peers[1], steps) == ["2 3 c"])
        // Here the two routes are two scopes; those of a reload are one.
        let status = Array("to all".utf8).withUnsafeBytes {
            steps.host().publish(steps.binding().pointee.instanceID, "all", 3, 0, .text, $0, 0, nil)
        }
        steps.step()
        #expect(status == Status.ok && peers.map { $0.frames() } == [[.text("to all")], [.text("to all")]])
        steps.step(after: 20)
        #expect(peers[1].frames().map(\.text) == ["2 event 7"])
        #expect(steps.binding(0).pointee.references.load(ordering: .relaxed) == 0)
        #expect(steps.binding(1).pointee.references.load(ordering: .relaxed) == 2)
        #expect(steps.get("/echo").hasSuffix("\r\n\r\n1 0 4") && steps.get("/next").hasSuffix("\r\n\r\n2 2 2"))
        for peer in peers { peer.finish() }
        steps.step()
        #expect(steps.isDeserted)
        #expect(steps.get("/next").hasSuffix("\r\n\r\n2 0 2"))
    }

    @Test func `migrate: where no state is kept there is nothing to save`() throws {
        let steps = try start(from: "counter_stateless_v1", to: "counter_stateless_v2")
        let peer = open(steps)
        let handover = try begin(.migrate, steps, isStateless: true)
        steps.step()
        #expect(figures(handover) == [1, 0, 0, 1])
        #expect(say("a", peer, steps) == ["2 0 a"])
    }

    @Test func `migrate: half a message of the peer moves along, half a message to it is waited for`() throws {
        let steps = try start()
        let (receiving, sending) = (open(steps), open(steps))
        receiving.say(ClientFrame(1, Array("ha".utf8), isFinal: false).bytes + [0x80, 0x82, 0])
        sending.say("begin")
        steps.step()
        let handover = try begin(.migrate, steps)
        steps.step()
        #expect(figures(handover) == [1, 0, 0, 1])
        receiving.say([0, 0, 0] + Array("lf".utf8))
        steps.step()
        #expect(receiving.frames() == [.text("2 1 half")])
        steps.step(ticks: 20)
        #expect(figures(handover)[0] == 1)
        _ = sending.frames()
        #expect(say("end", sending, steps).count == 2)
        steps.step(ticks: 1)
        #expect(figures(handover) == [2, 0, 0, 1])
        #expect(say("a", sending, steps) == ["2 3 a"])
    }

    @Test func `migrate: a handler that takes fragments gets those of one message all itself`() throws {
        let steps = try start(from: "counter_stream_v1", to: "counter_stream_v2")
        let peer = open(steps)
        peer.say(ClientFrame(1, Array("a".utf8), isFinal: false))
        steps.step()
        #expect(peer.frames().map(\.text) == ["1 1 a"])
        let handover = try begin(.migrate, steps)
        steps.step(ticks: 5)
        peer.say(ClientFrame(0, Array("b".utf8)))
        steps.step()
        #expect(peer.frames().map(\.text) == ["1 2 b"])
        #expect(figures(handover)[0] == 0)
        steps.step(ticks: 1)
        #expect(figures(handover)[0] == 1)
        #expect(say("c", peer, steps) == ["2 3 c"])
    }

    @Test func `migrate: an upgrade that waits for its answer goes over once it is open`() throws {
        let steps = try start()
        let peer = steps.open("/echo?held")
        let handover = try begin(.migrate, steps)
        steps.step(ticks: 3)
        #expect(peer.phase == .answering && figures(handover) == [0, 0, 0, 1])
        _ = steps.get("/echo?answer")
        steps.step(ticks: 1)
        #expect(figures(handover)[0] == 1 && peer.frames().isEmpty)
        #expect(say("a", peer, steps) == ["2 1 a"])
    }

    @Test func `migrate: a connection that is refused stays, and is told 1012 when its time is up`() throws {
        let steps = try start(to: "counter_refusing")
        let (stays, goes) = (open(steps), open(steps))
        #expect(say("stay", stays, steps) == ["1 1 stay"])
        let handover = try begin(.migrate, steps, patience: 100)
        steps.step()
        #expect(figures(handover) == [1, 1, 0, 1])
        #expect(say("stay", stays, steps) == ["1 2 stay"])
        #expect(say("a", goes, steps) == ["refusing 1 a"])
        // It is asked once, not at each pass.
        steps.step(ticks: 99)
        #expect(stays.frames().isEmpty && figures(handover) == [1, 1, 0, 1])
        steps.step(ticks: 1)
        #expect(stays.frames() == [.close(1012, "the handler was replaced")])
        #expect(goes.frames().isEmpty && figures(handover) == [1, 1, 1, 1])
    }

    @Test func `migrate: one that was refused is asked again by a later instance, and by no other`() throws {
        let steps = try StepWorker(
            handler: "fixture_counter_v1",
            rest: "route /next { handler fixture_counter_refusing; } route /later { handler fixture_counter_refusing; }"
        )
        let peer = open(steps)
        #expect(say("stay", peer, steps) == ["1 1 stay"])
        #expect(figures(try begun(.migrate, steps)) == [0, 1, 0, 1])
        #expect(say("go", peer, steps) == ["1 2 go"])
        #expect(figures(try begun(.migrate, steps)) == [0, 0, 0, 1])
        #expect(say("go", peer, steps) == ["1 3 go"])
        #expect(figures(try begun(.migrate, steps, to: steps.binding(2))) == [1, 0, 0, 1])
        #expect(say("go", peer, steps) == ["refusing 4 go"])
    }

    @Test func `migrate: a turn moves as many as fit into its slice`() throws {
        let steps = try start()
        let peers = (0..<5).map { _ in open(steps) }
        let handover = try begin(.migrate, steps)
        // The mailbox is read in the first turn, and each look at the clock takes longer than a slice.
        steps.stride = 600_000
        steps.onWorker { steps.worker.mailbox.drain(on: steps.worker) }
        for count in 1...5 {
            #expect(steps.worker.migrator.patience(now: steps.worker.now) == 0)
            steps.turn()
            #expect(figures(handover)[0] == count)
        }
        #expect(steps.worker.migrator.patience(now: steps.worker.now) == nil)
        #expect(figures(handover) == [5, 0, 0, 1])
        steps.stride = 0
        for peer in peers { #expect(say("a", peer, steps) == ["2 1 a"]) }
    }

    // MARK: drain and close

    @Test func `drain: connections stay until their time is up, then 1012, and five seconds later the end`() throws {
        let steps = try start()
        let (polite, mute, leaves) = (open(steps), open(steps), open(steps))
        let handover = try begin(.drain, steps, patience: 100)
        steps.step()
        #expect(figures(handover) == [0, 0, 0, 1])
        leaves.finish()
        steps.step(ticks: 99)
        for peer in [polite, mute] { #expect(peer.frames().isEmpty) }
        #expect(say("a", polite, steps) == ["1 1 a"])
        steps.step(ticks: 1)
        for peer in [polite, mute] { #expect(peer.frames() == [.close(1012, "the handler was replaced")]) }
        #expect(figures(handover) == [0, 0, 2, 1])
        polite.sayClose(1012)
        steps.step(ticks: 156)
        #expect(polite.place == nil && mute.phase == .closing)
        // Looked at every half second.
        steps.step(ticks: 16)
        #expect(mute.place == nil && steps.isDeserted)
        steps.step(ticks: 16)
        #expect(steps.worker.migrator.patience(now: steps.worker.now) == nil)
    }

    @Test func `drain: a later hand-over does not prolong the time of the first`() throws {
        let steps = try start(to: "counter_other")
        let peer = open(steps)
        let first = try begin(.drain, steps, patience: 40)
        steps.step()
        steps.step(ticks: 30)
        let second = try begin(.drain, steps, patience: 40)
        steps.step(ticks: 9)
        #expect(peer.frames().isEmpty && figures(first)[3] == 1 && figures(second)[3] == 1)
        steps.step(ticks: 1)
        #expect(peer.frames().last?.closeCode == 1012)
        #expect(figures(first)[2] == 0 && figures(second)[2] == 1)
    }

    @Test func `close: 1012 spread over the time there is`() throws {
        let steps = try start()
        let peers = (0..<20).map { _ in open(steps) }
        let handover = try begin(.close, steps, patience: 100)
        var ticks: [UInt32] = []
        for tick in 0..<100 as Range<UInt32> {
            steps.step(ticks: tick == 0 ? 0 : 1)
            ticks += peers.flatMap { $0.frames() }.filter { $0.closeCode == 1012 }.map { _ in tick }
        }
        #expect(ticks.count == 20 && figures(handover) == [0, 0, 20, 1])
        #expect(Set(ticks).count >= 15 && (ticks.first ?? 100) < 20 && (ticks.last ?? 0) >= 80)
    }

    @Test func `close: nobody waits longer than ten seconds, and who does not answer is cut off five later`() throws {
        let steps = try start()
        let peers = (0..<10).map { _ in open(steps) }
        _ = try begin(.close, steps, patience: 10_000)
        steps.step()
        steps.step(ticks: 1)
        #expect(peers.filter { $0.phase == .closing }.count < 5)
        for _ in 0..<312 { steps.step(ticks: 1) }
        #expect(peers.allSatisfy { $0.frames().last?.closeCode == 1012 })
        for _ in 0..<157 { steps.step(ticks: 1) }
        #expect(peers.allSatisfy { $0.place == nil } && steps.isDeserted)
    }

    @Test func `whoever is served by another binding is left alone`() throws {
        let steps = try start()
        let (old, new) = (open(steps), open(steps, "/next"))
        #expect(say("a", new, steps) == ["2 1 a"])
        let handover = try begin(.close, steps, patience: 1)
        steps.step(ticks: 1)
        #expect(old.frames().last?.closeCode == 1012 && figures(handover) == [0, 0, 1, 1])
        #expect(say("b", new, steps) == ["2 2 b"])
    }
}
