import CGatewayABI
import GatewayHandler
import GatewayHandlerJSON
import Testing

private struct Order: Codable {
    struct Item: Codable {
        var name: String
        var count: Int
    }

    var items: [Item]
    var note: String?
}

private final class Shop: JSONHandler {
    init(_ context: borrowing StartContext) {}
    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }

    func received(_ order: Order, _ connection: Connection, _ total: inout Int) throws {
        for item in order.items { total = total &+ item.count }
        switch order.note {
        case "infinite": try connection.send(json: [Double.infinity])
        case "refuse": throw ClosingError(.policyViolation, reason: "sold out")
        case "wrong": throw ClosingError(.noStatusReceived)
        default: try connection.send(json: Order(items: [.init(name: "a/\"é\"", count: total)]))
        }
    }

    func failed(_ connection: Connection, _ failure: Failure, _ total: inout Int) { connection.send("failed") }
}

private final class Loop: ImperativeHandler {
    init(_ context: borrowing StartContext) {}
    func run(_ session: Session) async throws {
        for try await frame in session.frames { try session.send(json: frame.decode([Int].self).reduce(0, &+)) }
    }
}

@Suite("JSON")
struct JSONTests {
    private let driven = Driven(Shop.self)
    private let state: UnsafeMutableRawPointer?

    init() {
        state = driven.connect(1)
        driven.host.set { $0.calls = [] }
    }

    @Test func `values come in and go out as text`() {
        for count in ["2", "3"] { driven.text(1, state, #"{"items": [{"name": "x", "count": \#(count)}]}"#) }
        let answers = driven.host.deeds.compactMap { call -> String? in
            guard case .send(1, kind: 1, let bytes) = call else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(answers.count == 2 && answers[1].contains(#""count":5"#) && answers[1].contains(#""a/\"é\"""#))
        driven.close(1, state)
    }

    @Test(arguments: [
        ("", "not valid JSON"), ("{", "not valid JSON"), ("[]", "the message is no Dictionary<String, Any>"),
        ("{}", "the message lacks items"), (#"{"items": null}"#, "is null and no"),
        (#"{"items": [{"name": "x", "count": "much"}]}"#, "the message at .items[0].count is no Int"),
        (#"{"items": [{"name": "x", "count": 99999999999999999999}]}"#, "not valid JSON"),
        (String(repeating: "[", count: 100_000), "not valid JSON"),
    ])
    func `a text that is no such value closes with 1007 and says why`(_ text: String, _ reason: String) throws {
        driven.text(1, state, text)
        guard case .close(1, 1007, let said)? = driven.host.deeds.first else {
            Issue.record("\(driven.host.calls)")
            return
        }
        #expect(said.contains(reason), "\(said)")
        #expect(driven.host.deeds.dropFirst() == [.text(1, "failed")])
        driven.close(1, state)
    }

    @Test func `binary closes with 1003`() {
        driven.binary(1, state, Array("{}".utf8))
        #expect(driven.host.deeds.first == .close(1, 1003, "JSON comes as text"))
        driven.close(1, state)
    }

    @Test(arguments: [("refuse", 1008, "sold out"), ("infinite", 1011, "")])
    func `an error closes with its own code, if it has one`(_ note: String, _ code: UInt16, _ reason: String) {
        driven.text(1, state, #"{"items": [], "note": "\#(note)"}"#)
        #expect(driven.host.deeds.first == .close(1, code, reason))
        driven.close(1, state)
    }

    @Test func `a code that is not for the wire becomes 1011`() {
        driven.host.set { $0.status = gw_status(GW_E_INVALID) }
        driven.text(1, state, #"{"items": [], "note": "wrong"}"#)
        #expect(driven.host.deeds.prefix(2) == [.close(1, 1005, ""), .close(1, 1011, "")])
        driven.close(1, state)
    }

    @Test func `loops read values, too`() {
        let driven = Driven(Loop.self)
        let state = driven.connect(1)
        driven.text(1, state, "[1, 2, 3]")
        driven.text(1, state, "[1, 2, x]")
        #expect(driven.host.deeds.suffix(2) == [.text(1, "6"), .close(1, 1007, "not valid JSON")])
        driven.close(1, state)
    }
}
