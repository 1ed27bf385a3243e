import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Keeps what `Connection.info` said in a callback.
private final class Asker: ReactiveHandler {
    static let manifest = Manifest(name: "asker", options: .keepRequest)
    static let heard = Mutex<[UInt64: ConnectionInfo]>([:])

    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) {
        if let info = connection.info { Self.heard.withLock { $0[connection.id] = info } }
    }
}

@Suite("who is at the other end")
struct ConnectionInfoTests {
    private func info(_ change: (Arena, inout gw_request) -> Void) throws -> ConnectionInfo {
        let driven = Driven(Asker.self)
        let number = UInt64.random(in: 1 ... .max)
        let arena = Arena()
        var request = arena.request(
            headers: ["cookie": "a=1; b=%C3%A9+1;c", "x-name": "b", "cookie": "d=4=4"], subprotocols: ["v2", "v1"])
        change(arena, &request)
        driven.host.keep(arena, request)
        driven.text(number, "who?")
        return try #require(Asker.heard.withLock { $0[number] })
    }

    @Test func `is told as it said`() throws {
        let info = try info { _, _ in }
        #expect("\(info.uuid)" == "01020304-0506-7708-890a-0b0c0d0e0fff" && info.path == "/rooms/tea time")
        #expect(info.route == "/rooms/:room" && info.parameters["room"] == "tea time")
        #expect(info.authority == "example.com:8080" && info.host == "example.com")
        #expect(info.origin == "https://example.com" && info.subprotocols == ["v2", "v1"])
        #expect("\(info.peer) \(info.local)" == "[::1]:50000 127.0.0.1:8080")
        #expect(info.headers["x-name"] == "b" && info.isTLS && info.tlsClientName == nil)
        #expect(info.rawQuery == "nick=Ada" && info.query["nick"] == "Ada")
    }

    @Test func `names what was agreed, if the gateway says so`() throws {
        let agreed = try info { arena, request in request.subprotocol = arena.text("v1") }
        #expect(agreed.subprotocol == "v1")
        let older = try info { arena, request in
            request.subprotocol = arena.text("v1")
            request.struct_size -= UInt32(MemoryLayout<gw_str>.size)
        }
        #expect(older.subprotocol == nil)
        #expect(try info { _, _ in }.subprotocol == nil)
    }

    @Test func `has TLS facts where there is TLS`() throws {
        let none = try info { _, _ in }
        #expect(none.tlsVersion == nil && none.tlsCipher == nil && none.tlsServerName == nil)
        let some = try info { arena, request in
            request.tls_version = arena.text("TLSv1.3")
            request.tls_cipher = arena.text("TLS_AES_128_GCM_SHA256")
            request.tls_sni = arena.text("example.com")
            request.tls_client_name = arena.text("Ada")
        }
        #expect(some.tlsVersion == "TLSv1.3" && some.tlsCipher == "TLS_AES_128_GCM_SHA256")
        #expect(some.tlsServerName == "example.com" && some.tlsClientName == "Ada")
    }

    @Test func `has its cookies decoded, from several lines`() throws {
        let cookies = try info { _, _ in }.cookies
        #expect(cookies.map { "\($0.name)=\($0.value)" } == ["a=1", "b=é+1", "c=", "d=4=4"])
    }

    @Test(arguments: [
        ("a=1&b=2&a=3", "a=1 b=2 a=3"), ("&&a&=&", "a= ="), ("a+b=%41%2b", "a b=A+"),
        ("a=%4&b=%zz&c=%", "a=%4 b=%zz c=%"),
        ("a=%+5%-0", "a=% 5%-0"), ("a=\u{301}1", "a=\u{301}1"), ("%C3=%FF", "\u{FFFD}=\u{FFFD}"), ("", ""),
    ])
    func `has its query decoded`(_ query: String, _ fields: String) throws {
        let info = try info { arena, request in request.query = arena.text(query) }
        #expect(info.query.map { "\($0.name)=\($0.value)" }.joined(separator: " ") == fields)
    }

    @Test(arguments: [("[::1]:80", "[::1]"), ("a.b", "a.b"), ("", ""), ("[::1", "[")])
    func `asked for a host`(_ authority: String, _ host: String) throws {
        #expect(try info { arena, request in request.host = arena.text(authority) }.host == host)
    }

    @Test func `is not told where the gateway does not keep it`() {
        let driven = Driven(Asker.self)
        driven.text(900, "who?")
        #expect(Asker.heard.withLock { $0[900] } == nil)
        #expect(driven.table.flags & UInt32(GW_HF_KEEP_REQUEST) != 0)
    }
}
