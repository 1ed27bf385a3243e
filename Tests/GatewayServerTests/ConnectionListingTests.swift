import GatewayConfiguration
import GatewayControl
import TestSupport
import Testing

@testable import GatewayServer

@Suite("gateway connections: found in slices, sorted, and no more than was asked for")
struct ConnectionListingTests {
    private func listing(_ steps: StepWorker, _ adjust: (inout ConnectionQuery) throws -> Void) throws -> String {
        var query = ConnectionQuery()
        query.form = .json
        try adjust(&query)
        let listing = ConnectionListing(query, for: 1, workers: 1, bell: try ControlWaker())
        steps.worker.port.post(.list(listing))
        steps.step()
        #expect(listing.isOver)
        return listing.report().answer.text
    }

    /// The ids in an answer, in its order.
    private func ids(_ steps: StepWorker, _ adjust: (inout ConnectionQuery) throws -> Void) throws -> [String] {
        try listing(steps, adjust).split(separator: #""id":""#).dropFirst().map {
            String($0.prefix { $0 != "\"" })
        }
    }

    private func id(_ peer: StepWorker.Peer) -> String { String(peer.id?.number ?? 0, radix: 16) }

    @Test func `states, counts and names`() throws {
        let steps = try StepWorker(route: "subprotocols chat;")
        let peer = steps.open(headers: "Sec-WebSocket-Protocol: chat\r\n")
        let waiting = steps.connect()
        peer.say("hello")
        steps.step(after: 64)
        let text = try listing(steps) { _ in }
        let opened =
            #"{"id":"\#(id(peer))","state":"open","peer":null,"route":"/echo","handler":"echo","generation":1,"#
        #expect(text.contains(opened))
        #expect(text.contains(#""messages_in":1,"messages_out":1,"bytes_in":"#))
        #expect(text.contains(#""subprotocol":"chat"}"#))
        #expect(text.contains(#"{"id":"\#(id(waiting))","state":"request","peer":null,"route":null,"handler":null,"#))
        #expect(text.hasPrefix(#"{"matched":2,"connections":["#))
    }

    @Test func `filters`() throws {
        let steps = try StepWorker(rest: "route /other { handler echo; }")
        let (peer, other) = (steps.open(), steps.open("/other"))
        let waiting = steps.connect()
        let all = Set([id(peer), id(other), id(waiting)])
        #expect(Set(try ids(steps) { _ in }) == all)
        #expect(try ids(steps) { $0.route = "/other" } == [id(other)])
        #expect(Set(try ids(steps) { $0.handler = "echo" }) == [id(peer), id(other)])
        #expect(try ids(steps) { $0.handler = "chat" } == [])
        #expect(Set(try ids(steps) { $0.generation = 1 }) == [id(peer), id(other)])
        #expect(try ids(steps) { $0.generation = 2 } == [])
        #expect(try ids(steps) { $0.id = peer.id?.number } == [id(peer)])
        #expect(try ids(steps) { $0.id = 0x7F_0000_0000 } == [])
        // Streams of tests have no address.
        #expect(try ids(steps) { $0.peer = try AddressPrefix("0.0.0.0/0") } == [])
    }

    @Test func `the order is that of the key, and the limit is kept on the way`() throws {
        let steps = try StepWorker(capacity: 300)
        var peers: [StepWorker.Peer] = []
        for index in 0..<200 {
            let peer = steps.open()
            for _ in 0..<(index * 37 % 200) { peer.say("x") }
            peers.append(peer)
            if index % 50 == 0 { steps.step(after: 100) }
        }
        steps.step()
        let byMessages = peers.sorted { $0.place!.pointee.messagesIn > $1.place!.pointee.messagesIn }.map { id($0) }
        let most = try ids(steps) { ($0.key, $0.isDescending, $0.limit) = (.messages, true, 7) }
        #expect(most == Array(byMessages.prefix(7)))
        let least = try ids(steps) { ($0.key, $0.limit) = (.messages, 5) }
        #expect(least == Array(byMessages.suffix(5).reversed()))
        let oldest = try ids(steps) { ($0.key, $0.isDescending, $0.limit) = (.age, true, 1) }
        #expect(oldest == [id(peers[0])])
        #expect(try listing(steps) { $0.limit = 5 }.hasPrefix(#"{"matched":200,"#))
        #expect(try ids(steps) { ($0.key, $0.isDescending) = (.bytes, true) }.count == 200)
        #expect(try ids(steps) { $0.key = .queue }.count == 200)
        #expect(try ids(steps) { $0.key = .idle }.count == 200)
    }

    @Test func `a worker serves between the slices`() throws {
        let steps = try StepWorker(capacity: 300)
        let peers = (0..<200).map { _ in steps.open() }
        let listing = ConnectionListing(ConnectionQuery(), for: 1, workers: 1, bell: try ControlWaker())
        steps.stride = 600_000
        steps.worker.port.post(.list(listing))
        peers[0].say("hello")
        steps.turnWithMail()
        #expect(!listing.isOver)
        #expect(peers[0].frames().map(\.text) == ["hello"])
        steps.turnWithMail()
        #expect(!listing.isOver)
        // Nobody waits for it any more: the rest is not looked at.
        listing.abandon()
        steps.turnWithMail()
        #expect(listing.isOver)
    }

    @Test func `a worker that does not answer is named`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let listing = ConnectionListing(ConnectionQuery(), for: 1, workers: 2, bell: try ControlWaker())
        steps.worker.port.post(.list(listing))
        steps.step()
        #expect(!listing.isOver)
        let answer = listing.report().answer
        #expect(answer.exit == 1)
        #expect(answer.text.contains(id(peer)))
        #expect(answer.text.contains("worker 1 did not answer in time"))
    }
}
