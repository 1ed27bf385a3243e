import TestSupport
import Testing

@testable import GatewayServer

/// Connections whose bytes go through something that is no socket: what a stream of HTTP/2 will be.
@Suite("A connection on a stream")
struct ConnectionStreamTests {
    /// What a peer heard behind its handshake.
    private func opened(_ peer: StepWorker.Peer) -> Bool { peer.response().hasPrefix("HTTP/1.1 101 ") }

    @Test func `opens, echoes and closes`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        #expect(opened(peer))
        peer.say(ClientFrame(1, Array("hello".utf8)).bytes)
        steps.step()
        #expect(peer.heard() == [0x81, 5] + Array("hello".utf8))
        peer.say(ClientFrame(8, [0x03, 0xE8]).bytes)
        steps.step()
        #expect(peer.heard() == [0x88, 2, 0x03, 0xE8])
        peer.finish()
        steps.step()
        #expect(peer.place == nil)
    }

    @Test(arguments: [1, 2, 3, 5, 7, 4096])
    func `frames come in pieces of any size`(size: Int) throws {
        let steps = try StepWorker()
        let peer = steps.open()
        #expect(opened(peer))
        let payload = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        var bytes = (ClientFrame(2, payload).bytes + ClientFrame(9, [1, 2]).bytes)[...]
        while !bytes.isEmpty {
            peer.say(Array(bytes.prefix(size)))
            bytes = bytes.dropFirst(size)
            steps.step()
        }
        #expect(peer.heard() == [0x82, 126, 1, 44] + payload + [0x8A, 2, 1, 2])
    }

    @Test func `two of them share nothing but their worker`() throws {
        let steps = try StepWorker()
        let peers = [steps.open(), steps.open()]
        #expect(peers.allSatisfy(opened))
        for (index, peer) in peers.enumerated() { peer.say(ClientFrame(2, [UInt8(index)]).bytes) }
        steps.step()
        #expect(peers[0].heard() == [0x82, 1, 0])
        #expect(peers[1].heard() == [0x82, 1, 1])
        peers[0].finish()
        steps.step()
        #expect(peers[0].place == nil && peers[1].place != nil)
    }

    @Test func `a full stream is written to again when it takes more, and not read from meanwhile`() throws {
        let steps = try StepWorker(route: "send_buffer 64k;")
        let peer = steps.open(window: 200)
        #expect(opened(peer))
        let payload = [UInt8](repeating: 3, count: 40_000)
        for _ in 0..<3 { peer.say(ClientFrame(2, payload).bytes) }
        steps.step()
        let place = try #require(peer.place)
        #expect(peer.isBlocked)
        #expect(place.pointee.flags.contains(.throttled))
        var heard = peer.heard()
        while heard.count < 3 * 40_004 {
            peer.widen(by: 10_000)
            steps.step()
            let more = peer.heard()
            try #require(!more.isEmpty)
            heard += more
        }
        let frame: [UInt8] = [0x82, 126, 0x9C, 0x40] + payload
        #expect(heard == frame + frame + frame)
        #expect(!place.pointee.flags.contains(.throttled))
    }

    @Test func `a request that nothing serves is answered, and its stream finished`() throws {
        let steps = try StepWorker()
        let peer = steps.connect(saying: "GET /nothing HTTP/1.0\r\n\r\n")
        steps.step()
        let said = peer.response()
        #expect(
            said.hasPrefix("HTTP/1.1 404 Not Found\r\n") && said.hasSuffix("no-route: nothing is served at this path\n")
        )
        #expect(peer.isFinished)
        #expect(steps.server.context.rejections.all.map(\.word) == ["no-route"])
    }
}
