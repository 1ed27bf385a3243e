import Bytes
import GatewayConfiguration
import GatewayIO
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

/// Connections go on in a worker as if of the process after the one that has them, which is given up at any moment.
@Suite("A connection outlives the process of its handler")
struct LedgerTests {
    @Test func `with its number, its state and its counts`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.say("a", "b")
        survival.old.step()
        #expect(peer.texts == ["1 1 a", "1 2 b"])
        let record = try survival.record(peer)
        #expect(record.handler?.state?.isCheckpoint == true && record.phase == .open)
        #expect(record.traffic.messagesIn == 2 && record.traffic.messagesOut == 2)
        try survival.goOn(peer)
        peer.say("c")
        survival.new.step()
        #expect(peer.texts == ["1 3 c"])
        let place = try #require(peer.place(in: survival.new))
        #expect(place.pointee.messagesIn == 3 && place.pointee.id == peer.id)
        peer.finish()
        survival.new.step()
        #expect(survival.new.isDeserted)
        #expect(try survival.new.finding(peer.id) == .gone)
    }

    @Test func `before it has asked for anything`() throws {
        let survival = try Survival()
        let peer = survival.connect(saying: "GET /echo HT")
        survival.old.step()
        try survival.goOn(peer)
        peer.say(
            Array(
                """
                TP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
                """.utf8))
        peer.say("a")
        survival.new.step()
        #expect(peer.texts == ["1 1 a"])
    }

    @Test func `while its request waits for an answer`() throws {
        let survival = try Survival()
        let peer = survival.open("?held")
        #expect(peer.place(in: survival.old)?.pointee.phase == .answering)
        #expect(try survival.record(peer).phase == .head)
        try survival.goOn(peer)
        #expect(survival.new.get("/echo?answer").contains("200 OK"))
        survival.new.step()
        peer.say("a")
        survival.new.step()
        #expect(peer.texts == ["1 1 a"])
    }

    @Test func `while it closes`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.say("fail")
        survival.old.step()
        #expect(try survival.record(peer).phase == .closing)
        #expect(peer.frames().map(\.closeCode) == [1011])
        try survival.goOn(peer)
        peer.say(ClientFrame(8, [0x03, 0xF3]).bytes)
        survival.new.step()
        #expect(peer.frames().isEmpty && survival.new.isDeserted)
    }

    /// Whole messages, fragments, a ping between them, and an end.
    private static let stream: [UInt8] =
        ClientFrame(1, Array("añ€😀".utf8)).bytes
        + ClientFrame(1, Array("hal".utf8), isFinal: false).bytes + ClientFrame(9, [1, 2, 3]).bytes
        + ClientFrame(0, Array("f€".utf8)).bytes + ClientFrame(10, [4]).bytes
        + ClientFrame(2, [UInt8](repeating: 0x61, count: 130)).bytes + ClientFrame(1, []).bytes

    @Test func `whatever has come by half: at every byte of a stream`() throws {
        let survival = try Survival()
        let steady = survival.open()
        steady.say(Self.stream)
        survival.old.step()
        let expected = steady.heard()
        for cut in 0...Self.stream.count {
            let peer = survival.open()
            peer.say(Array(Self.stream[..<cut]))
            survival.old.step()
            let former = peer.heard()
            try survival.goOn(peer)
            peer.say(Array(Self.stream[cut...]))
            survival.new.step()
            #expect(former + peer.heard() == expected, "cut at \(cut)")
            peer.finish()
            survival.old.step()
            survival.new.step()
        }
    }

    @Test func `with a large message that comes in pieces`() throws {
        let survival = try Survival("echo")
        let peer = survival.open()
        let payload = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let bytes = ClientFrame(2, payload).bytes
        var sent = 0
        while sent < 200_000 {
            peer.say(Array(bytes[sent..<sent + 20_000]))
            sent += 20_000
            survival.old.step()
        }
        #expect(try survival.record(peer).input.message == Array(payload[..<(sent - 14)]))
        try survival.goOn(peer)
        while sent < bytes.count {
            let next = min(sent + 20_000, bytes.count)
            peer.say(Array(bytes[sent..<next]))
            sent = next
            survival.new.step()
        }
        var heard: [UInt8] = []
        while true {
            let more = peer.heard()
            if more.isEmpty { break }
            heard += more
            survival.new.step()
        }
        #expect(heard.suffix(payload.count) == payload[...])
    }

    @Test func `with its topics, its timers, and reading that is off`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.say("join", "later", "deaf")
        survival.old.step()
        let record = try survival.record(peer)
        #expect(record.handler?.topics.map(\.key) == [TopicKey(scope: "/echo", name: Array("all".utf8))])
        #expect(record.handler?.timers.map(\.token) == [7] && record.input.isReadingOff)
        #expect(record.handler?.timers.map(\.interval) == [20_000_000])
    }

    @Test func `when that has given it to another one, which has not had it`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.say("a", "b")
        survival.old.step()
        let record = try survival.record(peer)
        let place = try #require(peer.place(in: survival.old))
        let page = try #require(survival.old.worker.ledger)
        page.give(place, record.bytes, on: survival.old.worker)
        page.touch(place)
        page.settle(on: survival.old.worker)
        guard case .given(let given) = try survival.finding(peer) else {
            Issue.record("it is not found given")
            return
        }
        #expect(given.handler?.state == record.handler?.state && given.traffic == record.traffic)
        // It comes back.
        page.arrive(place)
        #expect(try survival.finding(peer) != .absent)
        page.settleArrival(on: survival.old.worker)
        guard case .goesOn = try survival.finding(peer) else {
            Issue.record("it is not found again")
            return
        }
    }

    @Test func `that died of taking it over`() throws {
        let survival = try Survival()
        let peer = survival.open()
        let place = try #require(peer.place(in: survival.old))
        let page = try #require(survival.new.worker.ledger)
        page.arrive(place)
        #expect(try survival.new.finding(peer.id) == .arriving(isCertain: false))
        page.settleArrival(on: survival.new.worker)
        #expect(try survival.new.finding(peer.id) != .arriving(isCertain: false))
    }

    @Test func `and is found gone when it has gone, and absent when it never came`() throws {
        let survival = try Survival()
        let peer = survival.open()
        peer.finish()
        survival.old.step()
        #expect(try survival.finding(peer) == .gone)
        #expect(try survival.old.finding(ConnectionID(worker: 0, slot: 40, serial: 1)) == .absent)
        #expect(try survival.old.finding(ConnectionID(worker: 3, slot: 0, serial: 1)) == .absent)
        let other = survival.open()
        #expect(other.id.slot == peer.id.slot)
        #expect(try survival.finding(peer) == .absent)
    }
}
