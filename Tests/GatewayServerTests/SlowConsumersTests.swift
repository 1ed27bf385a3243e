import Bytes
import CGatewayABI
import Synchronization
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

/// Messages of 100 bytes are frames of 102; `send_buffer` is 1024, so ten of them are queued.
@Suite("slow_consumer: whole messages only, and no more than send_buffer")
struct SlowConsumersTests {
    private static let ok = gw_status(GW_OK)
    private static let backpressure = gw_status(GW_BACKPRESSURE)
    private static let dropped = gw_status(GW_E_DROPPED)

    private func start(_ policy: String) throws -> (StepWorker, StepWorker.Peer) {
        let steps = try StepWorker(
            route: "send_buffer 1k; slow_consumer \(policy);", rest: "defaults { ping_interval off; }")
        let peer = steps.open()
        _ = peer.frames()
        peer.stall()
        return (steps, peer)
    }

    /// A message that begins with its number, sent on the worker's thread or on another one.
    @discardableResult
    private func send(
        _ steps: StepWorker, _ peer: StepWorker.Peer, _ number: UInt8, count: Int = 100, elsewhere: Bool = false
    ) -> gw_status {
        let bytes = [number] + [UInt8](repeating: 7, count: count - 1)
        guard let id = peer.id?.number else { return gw_status(GW_E_CLOSED) }
        var status: gw_status = 0
        let call = {
            status = bytes.withUnsafeBytes { steps.host().send(id, UInt32(GW_BINARY), 0, $0.baseAddress, $0.count) }
        }
        if elsewhere { call() } else { steps.onWorker(call) }
        return status
    }

    @discardableResult
    private func fragment(
        _ steps: StepWorker, _ peer: StepWorker.Peer, _ number: UInt8, isLast: Bool
    ) -> gw_status {
        let bytes = [number] + [UInt8](repeating: 7, count: 99)
        guard let id = peer.id?.number else { return gw_status(GW_E_CLOSED) }
        var status: gw_status = 0
        steps.onWorker {
            status = bytes.withUnsafeBytes {
                steps.host().sendFragment(
                    id, UInt32(GW_BINARY), isLast ? UInt32(GW_FIN) : 0, $0.baseAddress, $0.count)
            }
        }
        return status
    }

    /// Lets the peer take everything, and answers the numbers of its messages, each of which is whole.
    private func numbers(_ steps: StepWorker, _ peer: StepWorker.Peer) -> [UInt8] {
        peer.widen(by: 1 << 20)
        steps.step()
        return peer.frames().map { frame in
            #expect(frame.payload.dropFirst().allSatisfy { $0 == 7 })
            return frame.payload.first ?? 0
        }
    }

    private func counts(_ steps: StepWorker) -> [Int] {
        let costs = steps.route().costs
        return [
            costs.closed.load(ordering: .relaxed), costs.droppedNew.load(ordering: .relaxed),
            costs.droppedOld.load(ordering: .relaxed), costs.pausedReads.load(ordering: .relaxed),
        ]
    }

    @Test(arguments: [false, true])
    func `drop_new takes what fits to the byte, and drops what does not`(elsewhere: Bool) throws {
        let (steps, peer) = try start("drop_new")
        let statuses = (1...10).map { send(steps, peer, $0, elsewhere: elsewhere) }
        #expect(statuses == Array(repeating: Self.ok, count: 5) + Array(repeating: Self.backpressure, count: 5))
        // On the worker payloads are measured, on other threads frames.
        #expect(send(steps, peer, 11, count: 5, elsewhere: elsewhere) == Self.dropped)
        #expect(send(steps, peer, 12, count: elsewhere ? 2 : 4, elsewhere: elsewhere) == Self.backpressure)
        steps.step()
        #expect(peer.phase == .open)
        #expect(numbers(steps, peer) == Array(1...10) + [12])
        #expect(counts(steps) == [0, 1, 0, 0])
        #expect(send(steps, peer, 13) == Self.ok)
        #expect(numbers(steps, peer) == [13])
    }

    @Test func `close ends the connection, and is counted`() throws {
        let (steps, peer) = try start("close")
        for number: UInt8 in 1...10 { send(steps, peer, number) }
        #expect(send(steps, peer, 11) == gw_status(GW_E_CLOSED))
        #expect(counts(steps) == [1, 0, 0, 0])
        steps.step()
        #expect(peer.phase == .closing)
    }

    @Test func `drop_old gives up the oldest that has not begun to leave`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...10 { send(steps, peer, number) }
        peer.widen(by: 50)
        // 970 bytes wait: 54 more fit, 55 do not.
        #expect(send(steps, peer, 11, count: 54) == Self.backpressure)
        #expect(send(steps, peer, 12) == Self.ok)
        #expect(counts(steps) == [0, 0, 1, 0])
        #expect(peer.place?.pointee.messagesOut == 11)
        #expect(numbers(steps, peer) == [1] + Array(3...12))
        #expect(counts(steps) == [0, 0, 1, 0])
    }

    @Test func `drop_old drops half of everything for a message that is larger than all`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...10 { send(steps, peer, number) }
        #expect(send(steps, peer, 11, count: 100_000) == Self.ok)
        #expect(counts(steps) == [0, 0, 5, 0])
        #expect(numbers(steps, peer) == Array(6...11))
    }

    @Test func `drop_old gives up a large message although the one before it has begun to leave`() throws {
        let (steps, peer) = try start("drop_old")
        peer.widen(by: 50)
        #expect(send(steps, peer, 1) == Self.ok)
        #expect(send(steps, peer, 2, count: 100_000) == Self.backpressure)
        #expect(send(steps, peer, 3) == Self.ok)
        #expect(counts(steps) == [0, 0, 1, 0])
        #expect(numbers(steps, peer) == [1, 3])
    }

    @Test func `drop_old drops what is new where nothing can be given up`() throws {
        let (steps, peer) = try start("drop_old")
        send(steps, peer, 1, count: 3000)
        peer.widen(by: 10)
        #expect(send(steps, peer, 2) == Self.dropped)
        #expect(counts(steps) == [0, 1, 0, 0])
        #expect(numbers(steps, peer) == [1])
        #expect(send(steps, peer, 3) == Self.ok)
        #expect(numbers(steps, peer) == [3])
    }

    @Test func `drop_old leaves control frames where they are`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...8 {
            send(steps, peer, number)
            steps.onWorker {
                _ = [100 + number].withUnsafeBytes {
                    steps.host().sendControl(peer.id!.number, .ping, $0.baseAddress, $0.count)
                }
            }
        }
        for number: UInt8 in 9...12 { send(steps, peer, number) }
        let received = numbers(steps, peer)
        #expect(received.filter { $0 > 100 } == Array(101...108))
        #expect(received.filter { $0 < 100 } == Array(4...12))
        #expect(counts(steps) == [0, 0, 3, 0])
    }

    @Test func `drop_old gives up a fragmented message as a whole, and none that is open`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...3 { #expect(fragment(steps, peer, number, isLast: number == 3) == Self.ok) }
        for number: UInt8 in 4...10 { send(steps, peer, number) }
        #expect(send(steps, peer, 11) == Self.ok)
        #expect(numbers(steps, peer) == Array(4...11))
        peer.stall()
        for number: UInt8 in 1...10 { fragment(steps, peer, number, isLast: false) }
        #expect(fragment(steps, peer, 11, isLast: true) == Self.dropped)
        #expect(numbers(steps, peer) == Array(1...10))
        // It was refused, so the stream is open as before.
        #expect(send(steps, peer, 12) == gw_status(GW_E_STATE))
        #expect(fragment(steps, peer, 11, isLast: true) == Self.ok)
        #expect(send(steps, peer, 12) == Self.ok)
        #expect(numbers(steps, peer) == [11, 12])
        #expect(counts(steps) == [0, 1, 1, 0])
    }

    @Test func `drop_old makes room for what other threads were promised`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...10 { send(steps, peer, number) }
        #expect(send(steps, peer, 11, elsewhere: true) == Self.ok)
        steps.step()
        #expect(counts(steps) == [0, 0, 1, 0])
        // Nothing in the mailbox can be given up: it is bounded by itself.
        let statuses = (12...40).map { send(steps, peer, $0, elsewhere: true) }
        #expect(statuses.firstIndex(of: Self.dropped) == 10)
        let refused = statuses.count { $0 == Self.dropped }
        steps.step()
        let received = numbers(steps, peer)
        #expect(received.count + counts(steps)[2] + refused == 40 && counts(steps)[1] == refused)
        #expect(received.last == 21)
    }

    /// The worker has queued `send_buffer` since it said last what is queued, and others send as much again.
    private func overrun(_ policy: String) throws -> (StepWorker, StepWorker.Peer) {
        let (steps, peer) = try start(policy)
        for number: UInt8 in 1...10 { #expect(send(steps, peer, number) >= 0) }
        for number: UInt8 in 11...20 { #expect(send(steps, peer, number, elsewhere: true) >= 0) }
        #expect(peer.place?.pointee.outbox.count == 1020)
        return (steps, peer)
    }

    @Test(arguments: ["drop_new", "pause_reads"])
    func `what others were promised makes it twice send_buffer at most`(policy: String) throws {
        let (steps, peer) = try overrun(policy)
        #expect(send(steps, peer, 21, elsewhere: true) == Self.dropped)
        steps.step()
        #expect(peer.place?.pointee.outbox.count == 2040)
        #expect(send(steps, peer, 22, count: 1) == Self.dropped)
        #expect(send(steps, peer, 23, count: 1, elsewhere: true) == Self.dropped)
        #expect(numbers(steps, peer) == Array(1...20))
    }

    @Test func `close ends a connection whose queue is overrun by what others were promised, behind that`() throws {
        let (steps, peer) = try overrun("close")
        steps.step()
        #expect(peer.phase == .closing && counts(steps) == [1, 0, 0, 0])
        peer.widen(by: 1 << 20)
        steps.step()
        let frames = peer.frames()
        #expect(frames.dropLast().compactMap(\.payload.first) == Array(1...20))
        #expect(frames.last == .close(1013, "slow consumer"))
    }

    @Test func `drop_old gives up what an overrun leaves no room for`() throws {
        let (steps, peer) = try overrun("drop_old")
        steps.step()
        #expect(peer.place?.pointee.outbox.count == 1020 && counts(steps) == [0, 0, 10, 0])
        #expect(numbers(steps, peer) == Array(11...20))
    }

    @Test func `pause_reads reads nothing above half, takes what fits, and goes on when the peer has read`() throws {
        let (steps, peer) = try start("pause_reads")
        for number: UInt8 in 1...5 { #expect(send(steps, peer, number) == Self.ok) }
        steps.step()
        #expect(peer.place?.pointee.mayRead == true)
        #expect(send(steps, peer, 6) == Self.backpressure)
        steps.step()
        #expect(peer.place?.pointee.mayRead == false && counts(steps) == [0, 0, 0, 1])
        for number: UInt8 in 7...10 { #expect(send(steps, peer, number) == Self.backpressure) }
        #expect(send(steps, peer, 11) == Self.dropped)
        peer.say(ClientFrame(2, [99]))
        steps.step()
        #expect(peer.place?.pointee.messagesIn == 0)
        #expect(numbers(steps, peer) == Array(1...10) + [99])
        #expect(counts(steps) == [0, 1, 0, 1])
    }

    @Test func `nothing is given up that the next message was compressed by`() throws {
        let steps = try StepWorker(
            route: "send_buffer 1k; slow_consumer drop_old; compression on { threshold 64; }",
            rest: "defaults { ping_interval off; }")
        let peer = steps.open(headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n")
        _ = peer.frames()
        // The route gives no window, so that messages can be given up.
        #expect(peer.place?.pointee.rareState?.compression?.keepsSentContext == false)
        #expect(peer.place?.pointee.keepsBorders == true)
    }

    @Test func `a connection keeps its window when its route begins to drop, and so its messages`() throws {
        let steps = try StepWorker(
            route: "send_buffer 1k; slow_consumer drop_new; compression on { threshold 64; }",
            rest: "defaults { ping_interval off; }")
        let peer = steps.open(headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n")
        _ = peer.frames()
        #expect(peer.place?.pointee.rareState?.compression?.keepsSentContext == true)
        peer.stall()
        let place = try #require(peer.place)
        steps.worker.slowConsumers.beginBorders(place)
        for number: UInt8 in 1...10 { send(steps, peer, number, count: 40) }
        #expect(!steps.worker.slowConsumers.dropOldest(place, bytes: 1, orNone: false, on: steps.worker))
        #expect(numbers(steps, peer) == Array(1...10))
    }

    @Test func `what is queued before a route drops is let be`() throws {
        let (steps, peer) = try start("drop_old")
        for number: UInt8 in 1...10 { send(steps, peer, number) }
        peer.place?.pointee.ownRareState.border = nil
        #expect(send(steps, peer, 11) == Self.dropped)
        #expect(numbers(steps, peer) == Array(1...10))
    }
}
