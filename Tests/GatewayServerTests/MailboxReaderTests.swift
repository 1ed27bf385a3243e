import Bytes
import CGatewayABI
import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

/// Host functions that are called outside of turns are those of another thread.
@Suite("A mailbox reader")
struct MailboxReaderTests {
    private let steps: StepWorker
    private let peer: StepWorker.Peer
    private static let last = UInt32(GW_FIN)
    private static let first = UInt32(GW_FIRST)

    init() throws {
        steps = try StepWorker(handler: "fixture_probe", route: "send_buffer 64k;")
        peer = steps.open()
        _ = peer.frames()
    }

    @discardableResult
    private func send(_ text: String, to other: StepWorker.Peer? = nil) -> Int32 {
        Array(text.utf8).withUnsafeBytes {
            steps.host().send((other ?? peer).id?.number ?? 0, 1, 0, $0.baseAddress, $0.count)
        }
    }

    /// The same in shared bytes.
    private func sendShared(_ text: String) throws -> Int32 {
        let copy = Array(text.utf8).withUnsafeBytes { SharedBuffer.copy($0) }
        return steps.host().send(peer.id?.number ?? 0, 1, 0, shared: try #require(copy))
    }

    private func fragment(_ text: String, _ flags: UInt32 = 0) -> Int32 {
        Array(text.utf8).withUnsafeBytes {
            steps.host().sendFragment(peer.id?.number ?? 0, 1, flags, $0.baseAddress, $0.count)
        }
    }

    private func waiting(_ id: ConnectionID?) -> UInt32 {
        steps.worker.port.sharedTable[id?.slot ?? 0].waiting.load(ordering: .relaxed)
    }

    @Test func `what another thread posts goes out in its order`() throws {
        let other = steps.open()
        _ = other.frames()
        for number in 0..<100 {
            #expect(send("\(number)", to: number % 3 == 0 ? other : peer) == Status.ok)
            #expect(try sendShared("shared \(number)") == Status.ok)
        }
        #expect(peer.heard().isEmpty && other.heard().isEmpty)
        steps.step()
        var expected: (peer: [String], other: [String]) = ([], [])
        for number in 0..<100 {
            if number % 3 == 0 { expected.other.append("\(number)") } else { expected.peer.append("\(number)") }
            expected.peer.append("shared \(number)")
        }
        #expect(peer.frames().map(\.text) == expected.peer)
        #expect(other.frames().map(\.text) == expected.other)
        #expect(waiting(peer.id) == 0 && waiting(other.id) == 0)
    }

    @Test func `it goes before what the connection itself says in that turn`() throws {
        peer.say("own")
        send("of another")
        steps.step()
        #expect(peer.frames() == [.text("of another"), .text("own")])
    }

    @Test func `bytes count from their post until they are with the transport`() throws {
        let slow = steps.open(window: 140)
        _ = slow.frames()
        #expect(send(String(repeating: "x", count: 98), to: slow) == Status.ok)
        #expect(waiting(slow.id) == 100)
        steps.step()
        let left = 100 - UInt32(slow.heard().count)
        #expect(waiting(slow.id) == left && left > 0)
        #expect(send("y", to: slow) == Status.ok)
        #expect(waiting(slow.id) == left + 3)
        slow.widen(by: 1000)
        steps.step()
        #expect(waiting(slow.id) == 0)
    }

    @Test func `what was promised to another thread goes out before a Close`() throws {
        peer.say("first", "close:4000:bye")
        send("promised")
        // The mailbox is read where the Close is queued, not where the turn begins.
        steps.turn()
        #expect(send("too late") == Status.closed)
        #expect(peer.frames() == [.text("first"), .text("promised"), .close(4000, "bye")])
        peer.sayClose(4000)
        steps.step()
        #expect(peer.frames().isEmpty && peer.place == nil && waiting(peer.id) == 0)
    }

    @Test func `an abort takes what was promised along`() throws {
        peer.say("abort")
        send("promised")
        steps.turn()
        steps.step()
        #expect(peer.place == nil && peer.frames().isEmpty && waiting(peer.id) == 0 && steps.isDeserted)
    }

    @Test func `the peer's Close is answered behind what was promised before`() throws {
        peer.sayClose(1000)
        send("promised")
        steps.turn()
        #expect(peer.frames() == [.text("promised"), .close(1000)])
        steps.step()
        #expect(peer.place == nil && steps.isDeserted && waiting(peer.id) == 0)
    }

    @Test func `catching up reads the output of all connections, once, and leaves the rest to its turn`() throws {
        let other = steps.open()
        _ = other.frames()
        let id = try #require(other.id)
        send("a", to: other)
        #expect(steps.host().close(id.number, 4000, nil, 0) == 0)
        #expect(send("too late", to: other) == Status.closed)
        send("b")
        steps.onWorker { steps.worker.mailbox.catchUp(on: steps.worker) }
        #expect(other.phase == .open, "a Close waits for its turn")
        send("c")
        steps.onWorker { steps.worker.mailbox.catchUp(on: steps.worker) }
        steps.onWorker { steps.worker.flushDirty() }
        #expect(peer.frames() == [.text("b"), .text("c")])
        #expect(other.frames() == [.text("a")])
        send("d")
        steps.step()
        #expect(peer.frames() == [.text("d")])
        #expect(other.frames() == [.close(4000)])
    }

    @Test func `what is for a connection that has gone vanishes, and nothing waits`() throws {
        let place = try #require(peer.place)
        send("late")
        #expect(try sendShared("late") == Status.ok)
        #expect(fragment("late") == Status.ok)
        #expect(waiting(peer.id) == 3 * 6)
        steps.onWorker {
            steps.worker.closer.teardown(place, on: steps.worker)
            steps.worker.closer.reap(on: steps.worker)
        }
        // The next one in the slot is another connection, and gets nothing of it.
        let next = steps.open()
        #expect(next.id?.slot == peer.id?.slot)
        steps.step()
        #expect(next.frames().isEmpty && peer.frames().isEmpty)
        #expect(waiting(peer.id) == 0)
        #expect(send("now", to: next) == Status.ok)
        steps.step()
        #expect(next.frames() == [.text("now")] && waiting(next.id) == 0)
        #expect(send("late") == Status.closed && fragment("late", Self.last) == Status.closed)
    }

    @Test func `fragments go out as they were posted, with control frames between them`() throws {
        #expect(fragment("one ", Self.first) == Status.ok)
        #expect(send("whole") == Status.state, "a fragmented message is open")
        #expect(steps.host().sendControl(peer.id?.number ?? 0, .ping, nil, 0) == 0)
        #expect(fragment("two ") == Status.ok)
        steps.step()
        #expect(fragment("three", Self.last) == Status.ok)
        #expect(send("whole") == Status.ok)
        steps.step()
        #expect(
            peer.frames() == [
                TestClient.Frame(1, Array("one ".utf8), isFinal: false), TestClient.Frame(9),
                TestClient.Frame(0, Array("two ".utf8), isFinal: false), TestClient.Frame(0, Array("three".utf8)),
                .text("whole"),
            ])
        #expect(waiting(peer.id) == 0)
    }

    @Test func `a whole message that was taken before a stream began elsewhere waits for its end`() throws {
        let id = try #require(peer.id)
        #expect(fragment("one ", Self.first) == Status.ok)
        _ = steps.worker.port.sharedTable[id.slot].departs(8)
        #expect(steps.worker.port.post(.frame(id, head: 0x81, payload: Array("before".utf8)), to: id))
        #expect(fragment("two", Self.last) == Status.ok)
        _ = steps.worker.port.sharedTable[id.slot].departs(2)
        #expect(steps.worker.port.post(.frame(id, head: 0x82, payload: []), to: id))
        steps.step()
        #expect(
            peer.frames() == [
                TestClient.Frame(1, Array("one ".utf8), isFinal: false), TestClient.Frame(0, Array("two".utf8)),
                .text("before"), TestClient.Frame(2),
            ])
        #expect(waiting(id) == 0)
    }

    @Test func `who was told of backpressure hears when it is over`() throws {
        let slow = steps.open(window: 200)
        _ = slow.frames()
        let text = String(repeating: "x", count: 20_000)
        #expect(send(text, to: slow) == Status.ok)
        #expect(send(text, to: slow) == Status.backpressure)
        #expect(send(text, to: slow) == Status.backpressure)
        steps.step()
        #expect(!steps.record().contains("2 drained"))
        slow.widen(by: 1_000_000)
        steps.step()
        #expect(slow.frames().count == 3)
        #expect(steps.record().filter { $0 == "2 drained" }.count == 1)
    }

    @Test func `one message too many closes the connection for being slow, from any thread`() throws {
        let text = String(repeating: "x", count: 40_000)
        #expect(send(text) == Status.backpressure)
        #expect(send(text) == Status.closed)
        #expect(send("small") == Status.closed, "it is not open any more")
        steps.step()
        let frames = peer.frames()
        #expect(frames == [.text(text), .close(1013, "slow consumer")])
        #expect(waiting(peer.id) == 0)
    }

    @Test func `another thread's close, abort and pause come in their order`() throws {
        let other = steps.open()
        _ = other.frames()
        let id = try #require(peer.id)
        #expect(steps.host().setReading(id.number, false) == 0)
        peer.say("unread")
        steps.step()
        #expect(peer.frames().isEmpty)
        let isOff = steps.worker.port.sharedTable[id.slot].readingOff.load(ordering: .relaxed)
        #expect(isOff)
        #expect(steps.host().setReading(id.number, true) == 0)
        steps.step()
        #expect(peer.frames() == [.text("unread")])
        send("last")
        #expect(steps.host().close(id.number, 4000, nil, 0) == 0)
        #expect(steps.host().close(id.number, 4001, nil, 0) == Status.closed)
        steps.step()
        #expect(peer.frames() == [.text("last"), .close(4000)])
        // Also one that is closing can be aborted, once.
        #expect(steps.host().abort(id.number) == 0)
        #expect(steps.host().abort(id.number) == Status.closed)
        send("last", to: other)
        #expect(steps.host().abort(other.id?.number ?? 0) == 0)
        steps.step()
        #expect(peer.place == nil && other.place == nil && steps.isDeserted)
        #expect(
            steps.record().endings == ["1 close 1006 by 2 reason  sends -1", "2 close 1006 by 2 reason  sends -1"])
    }

    @Test func `a fence is passed, and a stop stops, when they are read`() throws {
        let fence = Fence(passers: 1, bell: try ControlWaker())
        steps.worker.port.post(.fence(fence))
        steps.worker.port.post(.stop)
        #expect(!fence.isPassed && !steps.worker.isStopping)
        steps.step()
        #expect(fence.isPassed && steps.worker.isStopping)
        #expect(peer.frames() == [.close(1001, "the gateway is shutting down")])
    }
}
