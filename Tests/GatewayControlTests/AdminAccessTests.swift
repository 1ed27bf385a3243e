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

    /// Seconds since 1970.
    private static let now: Int64 = 1_800_000_000

    /// The path of the page or what else is done; or the status and the code word.
    private func verdict(
        _ access: AdminAccess, _ request: String, _ lines: [String], now: Int64 = Self.now
    ) throws -> String {
        switch access.judge(try head(request, lines), now: now) {
        case .page(let page): return page.rawValue
        case .command(let command): return command.line
        case .live: return "live"
        case .answer(let response): return "\(response.status)"
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
        ("POST /metrics", "405 method-not-allowed"), ("OPTIONS *", "404 not-found"),
        ("GET /metrics/", "404 not-found"), ("DELETE /nothing", "404 not-found"), ("GET /-/nothing", "404 not-found"),
        ("GET /-/../metrics", "/metrics"), ("GET /api/nothing", "404 not-found"), ("GET /", "200"),
        ("GET /-/main.js", "200"), ("HEAD /-/base.css", "200"), ("POST /", "405 method-not-allowed"),
    ])
    func `pages and files can be read`(request: String, wanted: String) throws {
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
        guard case .refused(let response) = guarded.judge(try head("GET /metrics", lines), now: Self.now) else {
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

    // MARK: The dashboard

    private static let own: [String] = ["Host: localhost:9090", "Origin: http://localhost:9090"]
    private static let upgrade: [String] = [
        "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    private static let shown = ["Authorization: Bearer s3cret"]

    @Test func `its files are read without a token, and may run nothing else`() throws {
        guard case .answer(let page) = guarded.judge(try head("GET /", ["Host: localhost"]), now: Self.now) else {
            Issue.record("no page")
            return
        }
        let headers = String(decoding: page.headers.bytes, as: UTF8.self)
        #expect(headers.contains("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'"))
        #expect(headers.contains("frame-ancestors 'none'") && headers.contains("X-Content-Type-Options: nosniff"))
        #expect(String(decoding: page.body, as: UTF8.self).contains("src=\"/-/main.js\""))
    }

    @Test(arguments: [
        ("reload", "", "reload"), ("reload", "?handler=chat", "reload chat"),
        ("rollback", "?handler=chat", "rollback chat"),
        ("rollback", "", "400 bad-request"), ("drain", "", "drain"), ("reload", "?handler=a%20b", "400 bad-request"),
        ("drain", "?handler=chat", "400 bad-request"),
    ])
    func `a button is a command`(name: String, query: String, wanted: String) throws {
        let lines = Self.own + ["X-Gateway-Action: \(name)"]
        #expect(try verdict(open, "POST /api/\(name)\(query)", lines) == wanted)
        #expect(try verdict(guarded, "POST /api/\(name)\(query)", lines) == "401 token-required")
        #expect(try verdict(guarded, "POST /api/\(name)\(query)", lines + Self.shown) == wanted)
    }

    @Test(arguments: ["reload", "drain"])
    func `a page of somebody else presses no button`(name: String) throws {
        let request = "POST /api/\(name)"
        let action = "X-Gateway-Action: \(name)"
        let others: [(lines: [String], wanted: String)] = [
            (["Host: localhost:9090", action], "403 origin-not-allowed"),
            (["Host: localhost:9090", "Origin: http://localhost:9091", action], "403 origin-not-allowed"),
            (Self.own, "403 header-required"), (Self.own + ["X-Gateway-Action: other"], "403 header-required"),
            (Self.own + [action, action], "403 header-required"),
        ]
        for (lines, wanted) in others {
            #expect(try verdict(open, request, lines) == wanted)
            #expect(try verdict(guarded, request, lines + Self.shown) == wanted)
        }
        let asked: [String] = Self.own + [action]
        #expect(try verdict(open, "GET /api/\(name)", asked) == "405 method-not-allowed")
    }

    @Test func `a WebSocket wants the same`() throws {
        let request = "GET /api/live"
        #expect(try verdict(open, request, Self.own + Self.upgrade) == "live")
        #expect(try verdict(open, request, ["Host: localhost:9090"] + Self.upgrade) == "403 origin-not-allowed")
        let foreign = ["Host: localhost:9090", "Origin: http://evil.example"]
        #expect(try verdict(open, request, foreign + Self.upgrade) == "403 origin-not-allowed")
        #expect(try verdict(open, request, Self.own) == "426 not-a-websocket-request")
        let keyless: [String] = Self.own + Array(Self.upgrade.dropLast())
        #expect(try verdict(open, request, keyless) == "400 missing-key")
        #expect(try verdict(guarded, request, Self.own + Self.upgrade) == "401 token-required")
        #expect(try verdict(guarded, request, Self.own + Self.upgrade + Self.shown) == "live")
    }

    // MARK: Sessions

    /// The cookie that signing in gives, as browsers send it back.
    private func cookie(_ access: AdminAccess, _ lines: [String] = own) throws -> String {
        let request = try head("POST /api/session", lines + ["X-Gateway-Action: session"] + Self.shown)
        guard case .answer(let response) = access.judge(request, now: Self.now) else { return "" }
        let headers = String(decoding: response.headers.bytes, as: UTF8.self)
        let line = try #require(headers.split(separator: "\r\n").first { $0.hasPrefix("Set-Cookie: ") })
        #expect(line.hasSuffix("; Max-Age=604800; Path=/; HttpOnly; SameSite=Strict"))
        return String(line.dropFirst("Set-Cookie: ".count).prefix { $0 != ";" })
    }

    @Test func `the token is shown once, and a cookie stands for it afterwards`() throws {
        let cookie = try cookie(guarded)
        #expect(cookie.hasPrefix("gateway-session-9090=1800604800.") && !cookie.contains("s3cret"))
        let known = Self.own + ["Cookie: a=b; \(cookie)"]
        #expect(try verdict(guarded, "GET /api/live", known + Self.upgrade) == "live")
        #expect(try verdict(guarded, "POST /api/drain", known + ["X-Gateway-Action: drain"]) == "drain")
        #expect(try verdict(guarded, "GET /metrics", known) == "/metrics")
        #expect(try verdict(guarded, "GET /api/session", known) == "200")
        #expect(try verdict(guarded, "GET /api/session", Self.own) == "401 token-required")
        // A cookie alone presses nothing: browsers send it whoever has the form.
        #expect(try verdict(guarded, "POST /api/drain", known) == "403 header-required")
    }

    @Test func `a cookie is good for a week, this token and this port`() throws {
        let cookie = try cookie(guarded)
        let known = Self.own + ["Cookie: \(cookie)"]
        let week: Int64 = 7 * 86_400
        #expect(try verdict(guarded, "GET /metrics", known, now: Self.now + week - 1) == "/metrics")
        #expect(try verdict(guarded, "GET /metrics", known, now: Self.now + week) == "401 token-required")
        // One that claims more than is ever given.
        #expect(try verdict(guarded, "GET /metrics", known, now: Self.now - 1) == "401 token-required")
        let other = AdminAccess(token: BearerToken("other"), hosts: nil)
        #expect(try verdict(other, "GET /metrics", known) == "401 token-required")
        let elsewhere = ["Host: localhost:9091", "Cookie: \(cookie)"]
        #expect(try verdict(guarded, "GET /metrics", elsewhere) == "401 token-required")
    }

    @Test func `a cookie that was not given is none`() throws {
        let given = try cookie(guarded)
        var forged: [String] = [String(given.dropLast()), given + "0", "gateway-session-9090="]
        forged.append(given.replacing("1800604800", with: "1800604799"))
        forged.append(given.replacing(".", with: ""))
        forged.append(String(given.prefix { $0 != "." }) + ".")
        forged.append(given.replacing("=1", with: "=+1"))
        for each in forged {
            let lines: [String] = Self.own + ["Cookie: \(each)"]
            #expect(try verdict(guarded, "GET /metrics", lines) == "401 token-required", "\(each)")
        }
    }

    @Test func `signing in wants the token, and signing out takes the cookie away`() throws {
        let request = "POST /api/session"
        let action: [String] = Self.own + ["X-Gateway-Action: session"]
        #expect(try verdict(guarded, request, action) == "401 token-required")
        let wrong: [String] = action + ["Authorization: Bearer wrong"]
        #expect(try verdict(guarded, request, wrong) == "401 token-required")
        #expect(try verdict(guarded, request, Self.own + Self.shown) == "403 header-required")
        let nowhere: [String] = action.filter { !$0.hasPrefix("Origin") } + Self.shown
        #expect(try verdict(guarded, request, nowhere) == "403 origin-not-allowed")
        #expect(try verdict(guarded, "PUT /api/session", action) == "405 method-not-allowed")
        #expect(try verdict(open, request, action) == "204")
        guard case .answer(let response) = guarded.judge(try head("DELETE /api/session", action), now: Self.now) else {
            Issue.record("not signed out")
            return
        }
        let headers = String(decoding: response.headers.bytes, as: UTF8.self)
        #expect(headers.contains("Set-Cookie: gateway-session-9090=; Max-Age=0; Path=/; HttpOnly; SameSite=Strict\r\n"))
    }

    @Test func `this machine has a name`() {
        #expect(!AdminAccess.ownName.isEmpty && AdminAccess.ownName == AdminAccess.ownName.lowercased())
    }
}
