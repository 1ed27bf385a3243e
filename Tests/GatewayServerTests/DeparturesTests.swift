import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

@Suite("Departures: connections are told to go one after the other")
struct DeparturesTests {
    /// How many of the peers have been told 1001 so far.
    private func told(_ peers: [StepWorker.Peer]) -> Int {
        peers.count { peer in peer.place.map { $0.pointee.phase != .open } ?? true }
    }

    private func open(_ count: Int, _ worker: StepWorker, at path: String = "/echo") -> [StepWorker.Peer] {
        (0..<count).map { _ in worker.open(path) }
    }

    @Test("within the time that was given, not before and not all at once")
    func time() throws {
        let worker = try StepWorker(capacity: 256)
        let peers = open(200, worker)
        worker.worker.port.post(.depart(within: TimerWheel.ticks(milliseconds: 30_000)))
        worker.step()
        var counts: [Int] = []
        for _ in 0..<30 {
            worker.step(after: 1000)
            counts.append(told(peers))
        }
        #expect(counts.last == 200)
        // Of 200 a tenth is expected in each span of three seconds, and the odds for more than 60 are nil.
        for first in stride(from: 0, to: 27, by: 3) { #expect(counts[first + 3] - counts[first] < 60, "\(counts)") }
        #expect(counts[5] > 0 && counts[24] < 200, "\(counts)")
        for peer in peers { #expect(peer.frames().last?.closeCode == 1001) }
    }

    @Test("without a time each goes within the drain_timeout of its route")
    func routes() throws {
        let worker = try StepWorker(
            route: "drain_timeout 2s; ping_interval off;",
            rest: "route /slow { handler echo; drain_timeout 1h; ping_interval off; }", capacity: 128)
        let (quick, slow) = (open(50, worker), open(50, worker, at: "/slow"))
        worker.worker.port.post(.depart(within: nil))
        worker.step()
        #expect(told(quick) < 50)
        worker.step(after: 2000)
        #expect(told(quick) == 50 && told(slow) < 10)
        worker.step(after: 3_600_000)
        #expect(told(slow) == 50)
    }

    @Test("whoever has left meanwhile is no trouble, nor is whoever comes into the slot")
    func slots() throws {
        let worker = try StepWorker(capacity: 8)
        let first = worker.open()
        worker.worker.port.post(.depart(within: TimerWheel.ticks(milliseconds: 10_000)))
        worker.turnWithMail()
        first.reset()
        worker.step()
        let second = worker.open()
        #expect(first.id?.slot == second.id?.slot)
        worker.step(after: 20_000)
        #expect(second.place?.pointee.phase == .open)
    }

    @Test("a later plan takes the place of the one before")
    func again() throws {
        let worker = try StepWorker(capacity: 64)
        let peers = open(40, worker)
        worker.worker.port.post(.depart(within: TimerWheel.ticks(milliseconds: 3_600_000)))
        worker.step(after: 1000)
        #expect(told(peers) < 40)
        worker.worker.port.post(.depart(within: TimerWheel.ticks(milliseconds: 1000)))
        worker.step()
        worker.step(after: 1000)
        #expect(told(peers) == 40)
    }
}
