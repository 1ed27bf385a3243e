import CGatewayABI
import Testing

@Suite("the chat")
struct ChatTests {
    private let chat: Driven

    init() throws { chat = try ChatModule().driven() }

    private func said() -> [String] { chat.said() }

    @Test func `relays every text to all, the speaker too, with the speaker's number`() {
        let states = [10, 11, 12].map { chat.connect($0) }
        _ = said()
        chat.text(10, states[0], "hi")
        #expect(said() == ["10 <- [0]: hi", "11 <- [0]: hi", "12 <- [0]: hi"])
        chat.text(12, states[2], "Grüße <b>\n[0]: me")
        #expect(said().first == "10 <- [2]: Grüße <b>\n[0]: me")
    }

    @Test func `keeps everybody's number when somebody leaves, and never gives one twice`() {
        let states = [10, 11].map { chat.connect($0) }
        chat.close(10, states[0])
        let third = chat.connect(12)
        _ = said()
        chat.text(11, states[1], "still me")
        #expect(said() == ["11 <- [1]: still me", "12 <- [1]: still me"])
        chat.text(12, third, "new")
        #expect(said() == ["11 <- [2]: new", "12 <- [2]: new"])
    }

    @Test(arguments: [GW_E_CLOSED, GW_E_DROPPED, GW_E_RETIRED])
    func `speaks on to the others when a send fails`(_ status: Int) {
        let states = [10, 11].map { chat.connect($0) }
        _ = said()
        chat.host.set { $0.status = gw_status(status) }
        chat.text(10, states[0], "a")
        #expect(said() == ["10 <- [0]: a", "11 <- [0]: a"])
    }

    @Test func `closes with 1003 on binary and relays none of it`() {
        let state = chat.connect(10)
        chat.host.set { $0.calls = [] }
        chat.binary(10, state, [1, 2])
        #expect(chat.host.calls == [.close(10, 1003, "this chat is text only")])
    }

    @Test func `has a room per route`() throws {
        let other = try ChatModule().driven()
        let (mine, theirs) = (chat.connect(10), other.connect(20))
        _ = said()
        chat.text(10, mine, "here")
        other.text(20, theirs, "there")
        #expect(said() == ["10 <- [0]: here"])
        #expect(other.host.calls.last == .text(20, "[0]: there"))
    }

    @Test func `shows a page on its own path`() throws {
        #expect(chat.request() == GW_DEFER)
        guard case .reply(77, let reply)? = chat.host.calls.last else {
            Issue.record("no reply")
            return
        }
        #expect(reply.status == 200)
        #expect(reply.headers.contains(["content-type", "text/html; charset=utf-8"]))
        for id in ["incoming", "sendForm", "sendText", "status"] { #expect(reply.body.contains("id=\"\(id)\"")) }
        #expect(!reply.body.contains("innerHTML"))
        #expect(chat.request(method: "POST") == GW_DEFER)
        #expect(chat.host.calls.last == .reply(77, .init(status: 405, headers: [["allow", "GET, HEAD"]])))
    }

    @Test func `shows newcomers what was said last where "set history" asks for it`() throws {
        let chat = try ChatModule().driven(["history": "2"])
        let state = chat.connect(10)
        for line in ["a", "b", "c"] { chat.text(10, state, line) }
        chat.host.set { $0.calls = [] }
        chat.connect(11)
        #expect(chat.said() == ["11 <- [0]: b", "11 <- [0]: c"])
    }

    @Test(arguments: ["many", "-1", "65536"])
    func `does not start with a history it cannot keep`(_ history: String) throws {
        #expect(try ChatModule().driven(["history": history]).started == GW_E_FAILED)
    }

    @Test func `speaks under a topic where the gateway has them`() throws {
        chat.host.set { $0.hasTopics = true }
        let state = chat.connect(10)
        #expect(chat.host.deeds.last == .subscribe(10, "lines", 0))
        chat.host.set { $0.calls = [] }
        chat.text(10, state, "hi")
        #expect(chat.host.deeds == [.publish("lines", 0, kind: 1, Array("[0]: hi".utf8), except: 0)])
    }
}
