import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

@Suite("A connection that cannot be given away is relayed")
struct RelayedConnectionsTests {
    /// 200 seeds, on a few workers.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `every byte comes over, in its order, and little waits on the way`(part: UInt64) throws {
        let steps = try StepWorker()
        for seed in part * 25..<part * 25 + 25 { try exchange(seed, steps) }
    }

    private func exchange(_ seed: UInt64, _ steps: StepWorker) throws {
        var random = SeededRandom(seed: seed)
        let relayed = try Relayed(on: steps, window: Int.random(in: 0...100_000, using: &random))
        let up = Relayed.bytes(Int.random(in: 0...400_000, using: &random), seed &+ 1)
        let down = Relayed.bytes(Int.random(in: 0...400_000, using: &random), seed &+ 2)
        var (upRest, downRest) = (up[...], down[...])
        var (heardUp, heardDown, most): ([UInt8], [UInt8], Int) = ([], [], 0)
        while heardUp.count < up.count || heardDown.count < down.count {
            let count = Int.random(in: 1...(Bool.random(using: &random) ? 90_000 : 900), using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                relayed.client.say(Array(upRest.prefix(count)))
                upRest = upRest.dropFirst(count)
            case 1: downRest = downRest.dropFirst(relayed.process.say(downRest.prefix(count)))
            case 2: heardUp += relayed.process.heard(atMost: count)
            default: relayed.client.widen(by: count)
            }
            steps.step()
            heardDown += relayed.client.heard()
            most = max(most, relayed.waiting.up, relayed.waiting.down)
        }
        #expect(heardUp == up && heardDown == down, "seed \(seed)")
        #expect(most <= RelayedConnections.room)
        relayed.leave()
        #expect(relayed.client.isFinished && steps.isDeserted, "seed \(seed)")
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `through a layer on a socket that keeps some of both directions`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let steps = try StepWorker()
        var ends: [Int32] = [0, 0]
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        #expect(socketpair(AF_UNIX, type, 0, &ends) == 0)
        var size: Int32 = 8192
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, 4)
        let client = Relayed.Process(copying: ends[0])
        close(ends[0])
        steps.server.context.connections.add(1, ordering: .relaxed)
        steps.worker.port.load.add(1, ordering: .relaxed)
        let transport = Transport(Socket(adopting: ends[1]), layer: ScramblingLayer())
        let admitted = steps.worker.acceptor.admit(transport, .plain, isSurplus: false, on: steps.worker)
        let id = try #require(admitted)
        let found = steps.worker.table.find(slot: id.slot, serial: id.serial)
        let place = try #require(found)
        place.pointee.phase = .away
        let process = Relayed.Process(copying: try steps.worker.relays.begin(place, on: steps.worker))
        let (up, down) = (Relayed.bytes(300_000, seed &+ 1), Relayed.bytes(300_000, seed &+ 2))
        var (upRest, downRest) = (up.map { $0 ^ ScramblingLayer.key }[...], down[...])
        var (heardUp, heardDown): ([UInt8], [UInt8]) = ([], [])
        while heardUp.count < up.count || heardDown.count < down.count {
            let count = Int.random(in: 1...40_000, using: &random)
            upRest = upRest.dropFirst(client.say(upRest.prefix(count)))
            downRest = downRest.dropFirst(process.say(downRest.prefix(count)))
            steps.step()
            heardUp += process.heard(atMost: count)
            heardDown += client.heard(atMost: count).map { $0 ^ ScramblingLayer.key }
        }
        #expect(heardUp == up && heardDown == down)
        // The end of either side behind the last byte of it.
        process.finish()
        steps.step()
        _ = client.heard()
        #expect(client.hasEnded)
        client.finish()
        steps.step()
        _ = process.heard()
        #expect(process.hasEnded && place.pointee.phase == .away)
        steps.onWorker { steps.worker.relays.ended(place, on: steps.worker) }
        process.close()
        steps.step()
        #expect(steps.isDeserted)
    }

    // MARK: Ends

    enum End: Sendable { case client, process, left }

    @Test(
        arguments: [
            [.client, .process, .left], [.process, .client, .left], [.client, .left], [.process, .left], [.left],
        ] as [[End]])
    func `each end comes behind what was said before it`(ends: [End]) throws {
        let relayed = try Relayed(window: 0, lastWord: "bye")
        let up = Relayed.bytes(300_000, 1)
        let down = Array(Relayed.bytes(150_000, 2)[..<relayed.process.say(Relayed.bytes(150_000, 2))])
        relayed.client.say(up)
        relayed.steps.step()
        #expect(relayed.waiting.up > 0 && relayed.waiting.down > 0)
        var heardUp: [UInt8] = []
        for end in ends {
            switch end {
            case .client: relayed.client.finish()
            case .process: relayed.process.finish()
            case .left:
                // Who leaves has heard what it wants to hear.
                heardUp = relayed.process.heardAll { relayed.steps.step() }
                #expect(relayed.process.hasEnded == ends.contains(.client))
                relayed.leave()
            }
            relayed.steps.step()
            #expect(relayed.client.place != nil && !relayed.client.isFinished)
        }
        #expect(heardUp == up)
        relayed.client.widen(by: 1 << 30)
        relayed.steps.step()
        #expect(relayed.client.heard() == down + Array("bye".utf8))
        #expect(relayed.client.isFinished && relayed.steps.isDeserted)
    }

    @Test func `the end of one side leaves the other one`() throws {
        let relayed = try Relayed()
        relayed.process.finish()
        relayed.steps.step()
        #expect(relayed.client.isFinished)
        relayed.client.say(Array("still here".utf8))
        relayed.steps.step()
        #expect(relayed.process.heard() == Array("still here".utf8))
        let other = try Relayed()
        other.client.finish()
        other.steps.step()
        #expect(other.process.heard().isEmpty && other.process.hasEnded)
        #expect(other.process.say("still here".utf8) == 10)
        other.steps.step()
        #expect(other.client.heard() == Array("still here".utf8))
        other.leave()
        #expect(other.client.isFinished && other.steps.isDeserted)
    }

    @Test func `a peer that is gone is a reset for the process, which keeps the slot until it has heard of that`()
        throws
    {
        for isBlocked in [false, true] {
            let relayed = try Relayed(window: isBlocked ? 0 : .max)
            let place = try #require(relayed.client.place)
            relayed.client.say(Array("last words".utf8))
            relayed.process.say([UInt8](repeating: 7, count: 100_000))
            relayed.steps.step()
            relayed.client.fail(Errno(ECONNRESET))
            relayed.steps.step()
            #expect(relayed.waiting == (0, 0))
            #expect(relayed.process.heard() == Array("last words".utf8))
            #expect(relayed.process.isReset)
            #expect(relayed.process.say([1]) == 0)
            relayed.steps.step(after: 100_000)
            #expect(relayed.client.place != nil && place.pointee.phase == .away)
            relayed.leave()
            #expect(relayed.steps.isDeserted)
        }
    }

    @Test func `a peer that takes nothing is a reset after write_timeout`() throws {
        let relayed = try Relayed(window: 0)
        relayed.process.say([1, 2, 3])
        relayed.steps.step()
        for _ in 0..<40 { relayed.steps.step(after: 2000) }
        #expect(relayed.process.isReset)
        relayed.leave()
        #expect(relayed.steps.isDeserted)
    }

    @Test func `a reset of the process is one for the peer, and what was said before it is not waited for`() throws {
        let relayed = try Relayed(window: 0)
        relayed.process.say([1, 2, 3])
        relayed.steps.step()
        relayed.process.resetOnClose()
        relayed.leave()
        #expect(relayed.client.isReset && !relayed.client.isFinished && relayed.steps.isDeserted)
    }

    @Test func `who takes some of what waits at the end has more time than who takes none`() throws {
        for takes in [false, true] {
            let relayed = try Relayed(window: 0)
            let count = relayed.process.say([UInt8](repeating: 1, count: 100_000))
            relayed.leave()
            for _ in 0..<10 {
                if takes { relayed.client.widen(by: 1000) }
                relayed.steps.step(after: 3000)
            }
            #expect((relayed.client.place != nil) == takes)
            relayed.client.widen(by: 1 << 30)
            relayed.steps.step()
            #expect(relayed.client.heard().count == (takes ? count : 0) && relayed.steps.isDeserted)
        }
    }

    @Test func `a process that dies takes nothing along: the next one hears what it has not heard`() throws {
        let relayed = try Relayed()
        relayed.client.say(Array("one two".utf8))
        relayed.steps.step()
        let place = try #require(relayed.client.place)
        let next = Relayed.Process(copying: try #require(place.pointee.rareState?.relay).descriptor)
        #expect(relayed.process.heard(atMost: 4) == Array("one ".utf8))
        relayed.process.say("first ".utf8)
        relayed.process.close()
        relayed.steps.step()
        #expect(next.heard() == Array("two".utf8))
        next.say("second".utf8)
        relayed.steps.step()
        #expect(relayed.client.heard() == Array("first second".utf8) && relayed.client.place != nil)
        next.close()
        relayed.ended()
        #expect(relayed.client.isFinished && relayed.steps.isDeserted)
    }

    @Test func `where no process goes on with it, it is the worker's again behind all that was said`() throws {
        let relayed = try Relayed(window: 10)
        let count = relayed.process.say(Relayed.bytes(100_000, 3))
        relayed.steps.step()
        #expect(relayed.process.say(Array("more".utf8)) == 4)
        relayed.process.close()
        let place = try #require(relayed.client.place)
        var record = RecordSamples.stateless()
        record.output.unsent = Array("unsent".utf8)
        #expect(relayed.steps.worker.relays.takeBack(place, record, on: relayed.steps.worker))
        #expect(place.pointee.rareState?.relay == nil)
        relayed.steps.worker.closer.end(place, on: relayed.steps.worker)
        relayed.client.widen(by: 1 << 30)
        relayed.steps.step()
        #expect(relayed.client.heard() == Relayed.bytes(100_000, 3)[..<count] + Array("moreunsent".utf8))
        relayed.client.finish()
        relayed.steps.step()
        #expect(relayed.steps.isDeserted)
        let gone = try Relayed()
        gone.client.fail(Errno(ECONNRESET))
        gone.steps.step()
        let its = try #require(gone.client.place)
        #expect(!gone.steps.worker.relays.takeBack(its, record, on: gone.steps.worker))
        gone.steps.worker.closer.teardown(its, on: gone.steps.worker)
        gone.steps.step()
        #expect(gone.steps.isDeserted)
    }

    @Test func `one that is shed for its memory holds none any more`() throws {
        let relayed = try Relayed(window: 0)
        relayed.process.say([UInt8](repeating: 1, count: 100_000))
        relayed.steps.step()
        let place = try #require(relayed.client.place)
        relayed.steps.worker.closer.shed(place, on: relayed.steps.worker)
        relayed.steps.step()
        #expect(relayed.waiting == (0, 0) && relayed.client.place != nil)
        #expect(relayed.process.isReset)
        relayed.leave()
        #expect(relayed.steps.isDeserted)
    }

    @Test func `the end of the worker waits for no process`() throws {
        let relayed = try Relayed(window: 0)
        relayed.process.say([1])
        relayed.steps.step()
        relayed.steps.onWorker { relayed.steps.worker.beginStopping() }
        for _ in 0..<100 { relayed.steps.step(after: 1000) }
        #expect(relayed.steps.isDeserted)
    }

    @Test func `an event for one that has left is void`() throws {
        let relayed = try Relayed()
        let id = try #require(relayed.client.id)
        relayed.process.say([1])
        relayed.steps.onWorker { relayed.steps.worker.closer.dropAll(on: relayed.steps.worker) }
        relayed.steps.step()
        #expect(relayed.client.place == nil && relayed.client.heard().isEmpty)
        #expect(relayed.steps.open().id.map { $0.slot == id.slot && $0.serial != id.serial } == true)
        #expect(relayed.process.say([2]) == 0)
    }

    @Test func `what the peer is shows in the record, for the process that does not see it`() throws {
        let relayed = try Relayed()
        let place = try #require(relayed.client.place)
        place.pointee.ownRareState.options = ListenerOptions(isSecure: true, maxStreams: 7)
        place.pointee.ownRareState.announced = SocketAddress(host: "192.0.2.7", port: 7)
        let record = relayed.steps.worker.exporter.peerRecord(place)
        #expect(record.relay == RelayRecord(place) && record.relay?.isSecure == true && record.maxStreams == nil)
        #expect(record.announced?.address == SocketAddress(host: "192.0.2.7", port: 7))
    }
}
