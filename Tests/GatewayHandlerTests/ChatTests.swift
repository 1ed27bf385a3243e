import CGatewayABI
import Testing

@Suite("the chat, in each flavour")
struct ChatTests {
    @Test(arguments: ChatFlavour.allCases)
    func `relays every text to all, the speaker too, with the speaker's number`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
        let states = [10, 11, 12].map { chat.connect($0) }
        _ = chat.said()
        chat.text(10, states[0], "hi")
        #expect(chat.said() == ["10 <- [0]: hi", "11 <- [0]: hi", "12 <- [0]: hi"])
        chat.text(12, states[2], "Grüße <b>\n[0]: me")
        #expect(chat.said().first == "10 <- [2]: Grüße <b>\n[0]: me")
    }

    @Test(arguments: ChatFlavour.allCases)
    func `keeps everybody's number when somebody leaves, and never gives one twice`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
        let states = [10, 11].map { chat.connect($0) }
        chat.close(10, states[0])
        let third = chat.connect(12)
        _ = chat.said()
        chat.text(11, states[1], "still me")
        #expect(chat.said() == ["11 <- [1]: still me", "12 <- [1]: still me"])
        chat.text(12, third, "new")
        #expect(chat.said() == ["11 <- [2]: new", "12 <- [2]: new"])
    }

    @Test(arguments: ChatFlavour.allCases, [GW_E_CLOSED, GW_E_DROPPED, GW_E_RETIRED])
    func `speaks on to the others when a send fails`(_ flavour: ChatFlavour, _ status: Int) throws {
        let chat = try flavour.module().driven()
        let states = [10, 11].map { chat.connect($0) }
        _ = chat.said()
        chat.host.set { $0.status = gw_status(status) }
        chat.text(10, states[0], "a")
        #expect(chat.said() == ["10 <- [0]: a", "11 <- [0]: a"])
    }

    @Test(arguments: ChatFlavour.allCases)
    func `closes with 1003 on binary and relays none of it`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
        let state = chat.connect(10)
        chat.host.set { $0.calls = [] }
        chat.binary(10, state, [1, 2])
        #expect(chat.host.calls == [.close(10, 1003, "this chat is text only")])
    }

    @Test(arguments: ChatFlavour.allCases)
    func `has a room per route`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
        let other = try flavour.module().driven()
        let (mine, theirs) = (chat.connect(10), other.connect(20))
        _ = chat.said()
        chat.text(10, mine, "here")
        other.text(20, theirs, "there")
        #expect(chat.said() == ["10 <- [0]: here"])
        #expect(other.host.calls.last == .text(20, "[0]: there"))
    }

    @Test(arguments: ChatFlavour.allCases)
    func `shows a page on its own path`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
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

    @Test(arguments: ChatFlavour.allCases)
    func `shows newcomers what was said last where "set history" asks for it`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven(["history": "2"])
        let state = chat.connect(10)
        for line in ["a", "b", "c"] { chat.text(10, state, line) }
        chat.host.set { $0.calls = [] }
        chat.connect(11)
        #expect(chat.said() == ["11 <- [0]: b", "11 <- [0]: c"])
    }

    @Test(arguments: ChatFlavour.allCases, ["many", "-1", "65536"])
    func `does not start with a history it cannot keep`(_ flavour: ChatFlavour, _ history: String) throws {
        #expect(try flavour.module().driven(["history": history]).started == GW_E_FAILED)
    }

    @Test(arguments: ChatFlavour.allCases)
    func `speaks under a topic where the gateway has them`(_ flavour: ChatFlavour) throws {
        let chat = try flavour.module().driven()
        chat.host.set { $0.hasTopics = true }
        let state = chat.connect(10)
        #expect(chat.host.deeds.last == .subscribe(10, "lines", 0))
        chat.host.set { $0.calls = [] }
        chat.text(10, state, "hi")
        #expect(chat.host.deeds == [.publish("lines", 0, kind: 1, Array("[0]: hi".utf8), except: 0)])
    }
}
