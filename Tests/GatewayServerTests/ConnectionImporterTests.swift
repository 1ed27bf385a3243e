import CGatewayABI
import GatewayIO
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// What comes from another process is not believed, and whatever is wrong with a connection is its own misfortune.
@Suite("A connection that cannot go on is told so")
struct ConnectionImporterTests {
    private func say(_ text: String, _ peer: SocketPeer, _ steps: StepWorker) -> [String] {
        peer.say(text)
        steps.step()
        return peer.texts
    }

    /// Crosses with a change to the first record; there is another connection, which goes on.
    private func cross(
        _ crossing: Crossing, _ change: (inout ConnectionRecord) -> Void
    ) throws -> (peer: SocketPeer, other: SocketPeer) {
        let (peer, other) = (crossing.open(), crossing.open())
        try crossing.cross { if $0.id == peer.id.number { change(&$0) } }
        #expect(say("a", other, crossing.new) == ["1 1 a"])
        return (peer, other)
    }

    @Test(
        arguments: [
            { @Sendable in $0.route?.name = "/nowhere" },
            { @Sendable in $0.route?.handler = "another" },
            { @Sendable in $0.handler?.state?.data = [1] },
            { @Sendable in $0.handler?.state = nil },
            { @Sendable in $0.handler?.request = KeptRequest() },
        ] as [@Sendable (inout ConnectionRecord) -> Void])
    func `1012, and no handler hears of it`(change: @Sendable (inout ConnectionRecord) -> Void) throws {
        let crossing = try Crossing()
        let (peer, other) = try cross(crossing) { change(&$0) }
        #expect(peer.frames().map(\.closeCode) == [1012])
        #expect(crossing.landed == [1, 1])
        #expect(crossing.new.get("/echo").hasSuffix("\r\n\r\n1 1 1"))
        peer.say(ClientFrame(8, TestClient.Frame.close(1012).payload).bytes)
        peer.finish()
        other.finish()
        crossing.new.step()
        #expect(crossing.new.isDeserted)
    }

    @Test func `a state that is a checkpoint is told to be one`() throws {
        for isCheckpoint in [false, true] {
            let crossing = try Crossing("fixture_counter_keeping")
            let peer = crossing.open()
            try crossing.cross { $0.handler?.state?.isCheckpoint = isCheckpoint }
            let address = peer.place(in: crossing.new)?.pointee.exchange?.record.request
            let request = try #require(address).pointee
            #expect(request.flags & UInt32(GW_REQ_MIGRATED) != 0)
            #expect((request.flags & UInt32(GW_REQ_RECOVERED) != 0) == isCheckpoint)
            let state = StateRecord(version: 1, format: 2, generation: 3, data: [4], isCheckpoint: isCheckpoint)
            let (size, flags) = state.withView { ($0.struct_size, $0.flags) }
            #expect(size == 48 && flags == (isCheckpoint ? UInt32(GW_SAVED_CHECKPOINT) : 0))
        }
    }

    @Test func `where no place is for it, and where it cannot be read, it is cut off`() throws {
        let crossing = try Crossing()
        let (peer, _) = try cross(crossing) { $0.id = $0.id | 1 << 56 }
        #expect(peer.heard().isEmpty && peer.hasEnded && crossing.landed == [1, 1])
        let far = crossing.open()
        try crossing.cross { $0.id |= 0xFF_0000 << 32 }
        #expect(far.heard().isEmpty && far.hasEnded && crossing.landed == [1, 2])
        let broken = crossing.open()
        try crossing.cross()
        _ = broken
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &pair) == 0)
        crossing.new.worker.port.post(.take([1, 0, 1, 0, 7], pair[1], received: 0))
        crossing.new.step()
        var byte: UInt8 = 0
        #expect(recv(pair[0], &byte, 1, 0) == 0)
        close(pair[0])
    }

    @Test func `a place is taken once`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        try crossing.cross()
        let again = crossing.open()
        #expect(again.id != peer.id)
        try crossing.cross { $0.id = peer.id.number }
        #expect(again.heard().isEmpty && again.hasEnded)
        #expect(say("a", peer, crossing.new) == ["1 1 a"])
    }

    @Test func `a message that had come by half and is no text fails`() throws {
        let crossing = try Crossing()
        let peer = crossing.open()
        peer.say(ClientFrame(1, [0x61], isFinal: false).bytes)
        crossing.old.step()
        try crossing.cross { $0.input.message = [0xFF] }
        #expect(peer.frames().map(\.closeCode) == [1007])
    }

    @Test func `slots of the other process are kept free, and no number is given twice`() throws {
        let steps = try StepWorker()
        steps.worker.table.reserve(3, serialsUpTo: 6)
        let first = steps.open()
        #expect(first.id?.slot == 3)
        let id = ConnectionID(worker: 0, slot: 1, serial: 5)
        let crossing = try Crossing(StepWorker(), steps)
        let peer = crossing.open()
        try crossing.cross { $0.id = id.number }
        let place = steps.worker.table.find(slot: 1, serial: 5)
        #expect(place != nil)
        #expect(say("a", peer, steps) == ["a"])
        peer.finish()
        steps.step()
        #expect(steps.open().id?.slot == 4)
        steps.worker.table.releaseReserved()
        let ids = (0..<3).compactMap { _ in steps.open().id }
        #expect(ids.map(\.slot) == [0, 1, 2] && ids.map(\.serial) == [7, 7, 7])
        #expect(steps.worker.table.highestSerial == 7)
    }

    @Test func `timers keep their numbers where they can`() throws {
        let registry = TimerRegistry(worker: 2)
        let context = try StepWorker().binding().pointee.instanceContext
        func timer(_ connection: UInt64) -> TimerRegistry.Timer {
            TimerRegistry.Timer(instanceContext: context, connection: connection, token: 0, interval: 0)
        }
        let (mine, _) = try #require(registry.add(timer(1), due: 5))
        registry.resume(timer(3), as: 2 << 56 | 9, due: 5)
        // Taken, and another worker's.
        registry.resume(timer(3), as: mine, due: 5)
        registry.resume(timer(3), as: 3 << 56 | 20, due: 5)
        #expect(registry.timers(of: .connection(3)).map(\.number) == [9, 10, 11].map { 2 << 56 | $0 })
        #expect(registry.timers(of: .connection(1)).map(\.number) == [mine])
        registry.end(.connection(3))
        #expect(registry.timers(of: .connection(3)).isEmpty)
        registry.skip(to: 100)
        #expect(registry.lastNumber == 100)
    }
}
