import CGatewayABI
import GatewayHandler
import Glibc
import Testing

/// `libchat.so` beside the test runner, loaded as the gateway does it.
private struct ChatModule {
    let entry: @convention(c) (UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>?

    init() throws {
        var path = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &path, path.count - 1)
        let runner = String(decoding: path.prefix(max(length, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = String(runner[..<(runner.lastIndex(of: "/") ?? runner.startIndex)])
        let image = dlopen("\(folder)/libchat.so", RTLD_NOW | RTLD_LOCAL)
        let loaded = try #require(image, "\(String(cString: dlerror()))")
        let symbol = try #require(dlsym(loaded, "gw_handler_entry_v1"))
        entry = unsafeBitCast(symbol, to: (@convention(c) (UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>?).self)
    }

    func driven() throws -> Driven {
        let host = MockHost()
        return Driven(try #require(entry(host.table)).pointee, host)
    }
}

@Suite("the chat")
struct ChatTests {
    private let chat: Driven

    init() throws { chat = try ChatModule().driven() }

    /// What was sent, in an order that does not depend on that of the members.
    private func said() -> [String] {
        let lines = chat.host.calls.compactMap { call -> String? in
            guard case .send(let connection, kind: 1, let octets) = call else { return nil }
            return "\(connection) <- \(String(decoding: octets, as: UTF8.self))"
        }
        chat.host.set { $0.calls = [] }
        return lines.sorted()
    }

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
}
