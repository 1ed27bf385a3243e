import GatewayControl
import HTTP
import Testing

@Suite("Who is let in by the admin listener")
struct AdminAccessTests {
    private func head(_ request: String, _ lines: [String]) throws -> RequestHead {
        var reader = RequestHeadReader()
        let bytes = Array("\(request) HTTP/1.1\r\n\(lines.map { "\($0)\r\n" }.joined())\r\n".utf8)
        guard case .head(let head, _) = try reader.read(bytes.span) else { throw RequestHeadError.badRequestLine }
        return head
    }

    /// The path of the page, or the status and the code word.
    private func verdict(_ access: AdminAccess, _ request: String, _ lines: [String]) throws -> String {
        switch access.judge(try head(request, lines)) {
        case .page(let page): return page.rawValue
        case .refused(let response):
            let body = String(decoding: response.body, as: UTF8.self)
            return "\(response.status) \(body.split(separator: ":").first ?? "")"
        }
    }

    private let open = AdminAccess(token: nil, hosts: ["gw.example.com"])
    private let guarded = AdminAccess(token: BearerToken("s3cret"), hosts: ["gw.example.com"])

    @Test(arguments: [
        ("GET /metrics", "/metrics"), ("HEAD /metrics", "/metrics"), ("GET /healthz", "/healthz"),
        ("GET /readyz?verbose", "/readyz"), ("GET http://localhost/metrics", "/metrics"),
        ("POST /metrics", "405 method-not-allowed"), ("OPTIONS *", "404 not-found"), ("GET /", "404 not-found"),
        ("GET /metrics/", "404 not-found"), ("DELETE /nothing", "404 not-found"),
    ])
    func `three pages can be read`(request: String, wanted: String) throws {
        #expect(try verdict(open, request, ["Host: localhost:9090"]) == wanted)
    }

    @Test(arguments: [
        ("Authorization: Bearer s3cret", "/metrics"), ("authorization: bEARER s3cret", "/metrics"),
        ("Authorization: Bearer  s3cret", "/metrics"), ("X: y", "401 token-required"),
        ("Authorization: Bearer s3creT", "401 token-required"), ("Authorization: Bearer s3cret2", "401 token-required"),
        ("Authorization: Bearer s3cre", "401 token-required"), ("Authorization: Bearer ", "401 token-required"),
        ("Authorization: Bearer", "401 token-required"), ("Authorization: Basic s3cret", "401 token-required"),
        ("Authorization: s3cret", "401 token-required"),
    ])
    func `metrics want the token where there is one`(line: String, wanted: String) throws {
        #expect(try verdict(guarded, "GET /metrics", ["Host: localhost", line]) == wanted)
        // Probes have none.
        #expect(try verdict(guarded, "GET /healthz", ["Host: localhost", line]) == "/healthz")
        #expect(try verdict(guarded, "GET /readyz", ["Host: localhost", line]) == "/readyz")
    }

    @Test func `two tokens are none, and a refusal says how to show one`() throws {
        let lines = ["Host: a", "Authorization: Bearer s3cret", "Authorization: Bearer s3cret"].map {
            $0.replacing("Host: a", with: "Host: localhost")
        }
        guard case .refused(let response) = guarded.judge(try head("GET /metrics", lines)) else {
            Issue.record("let in")
            return
        }
        #expect(response.status == 401)
        #expect(String(decoding: response.headers.bytes, as: UTF8.self).contains("WWW-Authenticate: Bearer"))
    }

    @Test(arguments: [
        ("localhost", true), ("LocalHost:9090", true), ("127.0.0.1:9090", true), ("10.1.2.3", true),
        ("[::1]:9090", true),
        ("gw.example.com", true), ("GW.example.com:80", true), ("evil.example", false), ("gw.example.com.evil", false),
        ("localhost.evil.example", false), ("127.0.0.1.evil.example", false), ("1.2.3", false),
    ])
    func `a name that somebody else has pointed here is foreign`(host: String, isOwn: Bool) throws {
        for page in ["/metrics", "/healthz", "/readyz"] {
            #expect(
                try verdict(open, "GET \(page)", ["Host: \(host)"]) == (isOwn ? page : "403 host-not-allowed"))
        }
        // A socket file has no name.
        let file = AdminAccess(token: nil, hosts: nil)
        #expect(try verdict(file, "GET /metrics", ["Host: \(host)"]) == "/metrics")
    }

    @Test(arguments: [
        (["Origin: http://localhost:9090"], "/metrics"), (["Origin: https://LOCALHOST:9090"], "/metrics"),
        (["Origin: http://localhost"], "403 origin-not-allowed"), (["Origin: null"], "403 origin-not-allowed"),
        (["Origin: http://evil.example"], "403 origin-not-allowed"), (["Origin:"], "403 origin-not-allowed"),
        (["Origin: http://localhost:9090", "Origin: http://localhost:9090"], "403 origin-not-allowed"),
    ])
    func `a page of another origin may not ask`(lines: [String], wanted: String) throws {
        #expect(try verdict(open, "GET /metrics", ["Host: localhost:9090"] + lines) == wanted)
    }

    @Test func `who is foreign hears nothing else`() throws {
        #expect(try verdict(guarded, "GET /metrics", ["Host: evil.example"]) == "403 host-not-allowed")
        #expect(try verdict(guarded, "PUT /nothing", ["Host: evil.example"]) == "403 host-not-allowed")
    }

    @Test func `this machine has a name`() {
        #expect(!AdminAccess.ownName.isEmpty && AdminAccess.ownName == AdminAccess.ownName.lowercased())
    }
}
