import GatewayIO
import Synchronization
import TestSupport
import Testing

@testable import GatewayServer

/// Handlers on the pool are asked there, and take over there, while the workers go on.
@Suite("A connection of a route with dispatch pool goes on in another process")
struct ConnectionTransferPoolingTests {
    private func open(_ crossing: Crossing) -> SocketPeer {
        let peer = crossing.open()
        #expect(
            eventually {
                crossing.old.step()
                return peer.place(in: crossing.old)?.pointee.phase == .open
            })
        _ = peer.frames()
        return peer
    }

    /// So many texts at least.
    private func hear(_ count: Int, _ peer: SocketPeer, _ steps: StepWorker) -> [String] {
        var texts: [String] = []
        _ = eventually {
            steps.step()
            texts += peer.texts
            return texts.count >= count
        }
        return texts
    }

    private func say(_ text: String, _ peer: SocketPeer, _ steps: StepWorker) -> [String] {
        peer.say(text)
        return hear(1, peer, steps)
    }

    /// Until so many have gone, and been taken or not.
    private func cross(
        _ crossing: Crossing, _ count: Int, _ change: (inout ConnectionRecord) -> Void = { _ in }
    ) throws {
        try crossing.cross(change: change)
        #expect(
            eventually {
                crossing.old.step(ticks: 1)
                return crossing.figures[0] + crossing.figures[1] == count
            })
        try crossing.land(change: change)
        #expect(
            eventually {
                crossing.new.step()
                return crossing.landed.reduce(0, +) == crossing.figures[0]
            })
    }

    @Test(arguments: [("dispatch pool;", "dispatch pool;"), ("dispatch pool;", ""), ("", "dispatch pool;")])
    func `with its state, whichever of the two has a pool`(old: String, new: String) throws {
        let crossing = try Crossing(route: old, newRoute: new)
        let peers = [open(crossing), open(crossing)]
        #expect(say("a", peers[0], crossing.old) == ["1 1 a"])
        try cross(crossing, 2)
        #expect(crossing.landed == [2, 0])
        #expect(say("b", peers[0], crossing.new) == ["1 2 b"] && say("b", peers[1], crossing.new) == ["1 1 b"])
        #expect(
            eventually {
                crossing.old.step()
                return crossing.old.binding().pointee.instanceContext.callbackQueues.load(ordering: .acquiring) == 0
            })
        #expect(crossing.old.isDeserted)
        for peer in peers { peer.finish() }
        #expect(
            eventually {
                crossing.new.step()
                return crossing.new.isDeserted
            })
    }

    @Test func `what comes before the handler has taken over waits for that`() throws {
        let crossing = try Crossing(route: "dispatch pool;")
        let peer = open(crossing)
        let transfer = try ConnectionTransfer(
            ["/echo": (crossing.old.route().handler, HandoverFacts(crossing.new.binding().pointee.generation))],
            to: crossing.ferry, patience: 1000, spread: 1, progress: ControlWaker())
        crossing.old.worker.port.post(.export(transfer))
        #expect(
            eventually {
                crossing.old.step(ticks: 1)
                return transfer.moved.load(ordering: .relaxed) == 1
            })
        peer.say("a", "b", "c")
        try crossing.land()
        #expect(hear(3, peer, crossing.new) == ["1 1 a", "1 2 b", "1 3 c"])
    }

    @Test func `1012 where its handler does not take it over, and that hears nothing of it`() throws {
        let crossing = try Crossing(route: "dispatch pool;")
        let peer = open(crossing)
        try cross(crossing, 1) { $0.handler?.state?.data = [1] }
        #expect(crossing.landed == [0, 1])
        crossing.new.step()
        #expect(peer.frames().map(\.closeCode) == [1012])
        peer.say(ClientFrame(8, TestClient.Frame.close(1012).payload).bytes)
        peer.finish()
        #expect(
            eventually {
                crossing.new.step()
                return crossing.new.isDeserted
            })
    }
}
