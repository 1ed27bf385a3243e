import GatewayMetrics
import TestSupport
import Testing

@testable import GatewayServer

@Suite("Activity: traffic is counted when a tick is over, all of it, once")
struct ActivityTests {
    private func reading(_ steps: StepWorker, _ route: Int = 0) -> TrafficReading {
        steps.binding(route).pointee.instanceContext.counters.reading
    }

    @Test func `messages by type and bytes of frames, both ways`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        peer.say("one", "three")
        peer.say(ClientFrame(2, [1, 2, 3, 4]))
        steps.step()
        #expect(peer.frames().count == 3)
        steps.step(ticks: 1)
        let counted = reading(steps)
        // A frame of a client has two bytes of header and four of its key.
        #expect(counted.received == .init(text: 2, binary: 1, bytes: 12 + 3 * 6))
        #expect(counted.sent == .init(text: 2, binary: 1, bytes: 12 + 3 * 2))
        #expect(counted.opened == 1 && counted.open == 1 && counted.handshakes.count == 1)
        // A tick in which nothing went on adds nothing.
        steps.step(ticks: 2)
        #expect(reading(steps).received == counted.received && reading(steps).sent == counted.sent)
    }

    @Test func `the worker wakes for it, and then no more`() throws {
        let steps = try StepWorker(route: "ping_interval off;")
        let peer = steps.open()
        steps.step(ticks: 2)
        let idle = steps.worker.patience
        peer.say("x")
        steps.step()
        #expect(steps.worker.patience.map { $0 <= 32 } == true)
        steps.step(ticks: 1)
        #expect(steps.worker.patience == idle)
        #expect(reading(steps).received.text == 1)
    }

    @Test func `fragments are one message, of the type that the first says`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        peer.say(ClientFrame(2, [1], isFinal: false))
        peer.say(ClientFrame(0, [2], isFinal: false))
        peer.say(ClientFrame(0, [3]))
        steps.step()
        steps.step(ticks: 1)
        #expect(reading(steps).received == .init(text: 0, binary: 1, bytes: 3 * 7))
        #expect(reading(steps).sent == .init(text: 0, binary: 1, bytes: 5))
    }

    @Test func `control frames are bytes and no messages`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        peer.say(ClientFrame(9, [1, 2]))
        steps.step()
        steps.step(ticks: 1)
        #expect(reading(steps).received == .init(text: 0, binary: 0, bytes: 8))
        #expect(reading(steps).sent == .init(text: 0, binary: 0, bytes: 4))
    }

    @Test func `what comes behind the head in the same read is no part of the handshake`() throws {
        let steps = try StepWorker()
        let head = """
            GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
            """
        let peer = steps.connect()
        peer.say(Array(head.utf8) + ClientFrame(1, [0x61]).bytes)
        steps.step()
        #expect(peer.frames() == [.text("a")])
        steps.step(ticks: 1)
        #expect(reading(steps).received == .init(text: 1, binary: 0, bytes: 7))
        #expect(reading(steps).sent == .init(text: 1, binary: 0, bytes: 3))
    }

    @Test func `an answer to the handshake that waits is not counted when it goes`() throws {
        let steps = try StepWorker()
        let peer = steps.open(window: 20)
        steps.step(ticks: 2)
        #expect(reading(steps).sent.bytes == 0)
        peer.widen(by: 1 << 20)
        steps.step()
        peer.say("a")
        steps.step()
        steps.step(ticks: 1)
        #expect(peer.frames() == [.text("a")])
        #expect(reading(steps).sent == .init(text: 1, binary: 0, bytes: 3))
    }

    @Test func `a connection that ends within the tick has been counted, its Close included`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        peer.say("abc")
        peer.sayClose(4001, "bye")
        steps.step()
        peer.finish()
        steps.step()
        let counted = reading(steps)
        #expect(counted.received == .init(text: 1, binary: 0, bytes: 9 + 11))
        #expect(counted.sent == .init(text: 1, binary: 0, bytes: 5 + 7))
        #expect(counted.closes == [.init(code: "4xxx", initiator: "peer"): 1])
        #expect(counted.opened == 1 && counted.open == 0)
    }

    @Test func `a connection that breaks is one that the transport has ended`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        peer.reset()
        steps.step()
        #expect(reading(steps).closes == [.init(code: "1006", initiator: "transport"): 1])
    }

    @Test func `one message of a tick is timed, and every other callback`() throws {
        let steps = try StepWorker(handler: "fixture_probe")
        let peer = steps.open()
        steps.stride = 1000
        for _ in 0..<3 {
            peer.say("a", "b", "c")
            steps.step(ticks: 1)
        }
        let callbacks = reading(steps).callbacks
        #expect(callbacks["open"]?.count == 1)
        #expect(callbacks["message"]?.count == 3)
        #expect(peer.frames().count == 9)
    }

    @Test func `pongs tell how long they took`() throws {
        let steps = try StepWorker(route: "ping_interval 1s;")
        let peer = steps.open()
        steps.step(after: 1100)
        let ping = try #require(peer.frames().first { $0.opcode == 9 })
        steps.step(after: 20)
        peer.say(ClientFrame(10, ping.payload))
        steps.step()
        let pongs = reading(steps).roundTrips
        #expect(pongs.count == 1 && pongs.sum > 0.019 && pongs.sum < 0.1)
    }
}
