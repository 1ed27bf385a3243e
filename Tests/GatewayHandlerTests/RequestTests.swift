import CGatewayABI
import GatewayHandler
import Testing

/// Answers with everything a request says.
private final class Mirror: ReactiveHandler, RequestHandler {
    init(_ context: borrowing StartContext) {}
    func message(_ connection: Connection, _ message: borrowing Message) {}

    func respond(to request: borrowing Request) -> Response? {
        let lines: [String] = [
            "\(request.id) \(request.uuid)", "\(request.method) \(request.path)?\(request.rawQuery)", request.route,
            "\(request.authority) \(request.origin)", "\(request.peer) \(request.local) \(request.httpVersion)",
            "\(request.isTLS) \(request.isWebSocket) \(request.tlsClientName ?? "nil")",
            request.subprotocols.joined(separator: ","),
            request.headers.map { "\($0.name): \($0.value)" }.joined(separator: ","),
            request.parameters.map { "\($0.name): \($0.value)" }.joined(separator: ","),
            "\(request.header("X-Name") ?? "nil") \(request.header("x-none") ?? "nil")",
            "\(request.query("nick") ?? "nil") \(request.query("none") ?? "nil")",
            "\(request.cookie("session") ?? "nil") \(request.cookie("none") ?? "nil")",
            "\(request.parameter("room") ?? "nil") \(request.parameter("room\0") ?? "nil")", "\(request.body)",
        ]
        return .text(lines.joined(separator: "\n"))
    }
}

@Suite("a request")
struct RequestTests {
    private func body(of driven: Driven, _ change: (Arena, inout gw_request) -> Void) -> [String] {
        driven.raw { arena, instance in
            var request = arena.request(
                headers: ["x-name": "a", "x-name": "b"], subprotocols: ["chat.v2", "chat.v1"], body: [1, 2])
            change(arena, &request)
            #expect(driven.table.http!(instance, &request) == GW_DEFER)
        }
        guard case .reply(77, let reply)? = driven.host.calls.last else { return [] }
        return reply.body.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test func `says everything the gateway knows`() {
        let host = MockHost()
        host.set {
            $0.queries = ["nick": "Ada L"]
            $0.cookies = ["session": "s1"]
        }
        #expect(
            body(of: Driven(Mirror.self, host: host)) { _, _ in } == [
                "11 01020304-0506-7708-890a-0b0c0d0e0fff", "GET /rooms/tea time?nick=Ada", "/rooms/:room",
                "example.com:8080 https://example.com", "[::1]:50000 127.0.0.1:8080 11", "true true nil",
                "chat.v2,chat.v1", "x-name: a,x-name: b", "room: tea time", "a nil", "Ada L nil", "s1 nil",
                "tea time nil", "[1, 2]",
            ])
    }

    @Test func `repairs what is not UTF-8 instead of trusting it`() {
        let lines = body(of: Driven(Mirror.self)) { arena, request in
            let bytes = arena.bytes([0x61, 0xFF, 0x62])
            request.path = gw_str(ptr: UnsafeRawPointer(bytes.ptr)?.assumingMemoryBound(to: CChar.self), len: 3)
        }
        #expect(lines.count == 14)
        #expect(lines.dropFirst().first == "GET a\u{FFFD}b?nick=Ada")
    }

    @Test func `is empty where the gateway says nothing`() {
        let lines = body(of: Driven(Mirror.self)) { _, request in
            let ticket = request.ticket
            request = gw_request()
            request.ticket = ticket
        }
        #expect(lines.last == "[]")
        #expect(lines.dropFirst(5).first == "false false nil")
    }
}
