import Glibc
package import HTTP
package import WebSocket

/// Who is let in by the admin listener, and what it has.
///
///     host, origin ──▶ what is asked for ──▶ token or cookie ──▶ verdict
package struct AdminAccess: Sendable {
    /// What programs ask for.
    package enum Page: String, Sendable, CaseIterable {
        case metrics = "/metrics"
        /// 200 as long as the process serves.
        case health = "/healthz"
        /// 200, or 503 with a line for each reason.
        case readiness = "/readyz"

        /// What probes ask, who have no secrets.
        var isPublic: Bool { self != .metrics }
    }

    package enum Verdict: Sendable {
        case page(Page)
        /// What a button of the dashboard stands for.
        case command(ControlCommand)
        /// A dashboard that wants to be told what goes on.
        case live(OpeningHandshake)
        /// A file of the dashboard, or what became of signing in.
        case answer(PlainResponse)
        case refused(PlainResponse)
    }

    /// Nil = nobody has to show one.
    private let token: BearerToken?
    /// In lower case; nil = by whatever name.
    private let hosts: [String]?

    package init(token: BearerToken?, hosts: [String]?) { (self.token, self.hosts) = (token, hosts) }

    /// The name of this machine, in lower case.
    package static var ownName: String {
        var room = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&room, room.count - 1) == 0 else { return "localhost" }
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
    }

    /// What a request gets.
    ///
    /// - Parameter now: seconds since 1970.
    package func judge(_ head: RequestHead, now: Int64) -> Verdict {
        if let refusal = foreign(head) { return .refused(refusal) }
        let path = String(decoding: head.target.path.bytes, as: UTF8.self)
        if path.hasPrefix("/api/") { return judge(call: path.dropFirst("/api/".count), head, now) }
        let file = path == "/" ? "index.html" : path.hasPrefix("/-/") ? String(path.dropFirst("/-/".count)) : nil
        let found = file.flatMap { PageFile.named($0, of: "dashboard") }
        let page = Page(rawValue: path)
        guard page != nil || found != nil else {
            return .refused(
                PlainResponse(
                    status: 404, word: "not-found",
                    sentence: "there are /metrics, /healthz, /readyz, and the dashboard at /"))
        }
        guard head.method == .get || head.method == .head else { return .refused(.methodNotAllowed("GET, HEAD")) }
        // Its files are the same everywhere; what they show has to be asked for.
        if let found { return .answer(found.response(base: "")) }
        guard let page else { preconditionFailure("neither a page nor a file") }
        if !page.isPublic, !isKnown(head, now) { return .refused(.tokenRequired) }
        return .page(page)
    }

    // MARK: What the dashboard calls

    private func judge(call name: Substring, _ head: RequestHead, _ now: Int64) -> Verdict {
        switch name {
        case "session": return session(head, now)
        case "live": return live(head, now)
        case "reload", "rollback", "drain": return action(String(name), head, now)
        default:
            return .refused(
                PlainResponse(status: 404, word: "not-found", sentence: "the dashboard calls nothing like it"))
        }
    }

    /// Asks whether it is signed in, signs in by the token, or signs out.
    private func session(_ head: RequestHead, _ now: Int64) -> Verdict {
        switch head.method {
        case .get, .head:
            if !isKnown(head, now) { return .refused(.tokenRequired) }
            let body = Array("{\"token\":\(token != nil)}".utf8)
            return .answer(PlainResponse(status: 200, contentType: "application/json", body: body))
        case .post, .delete: break
        case .put, .options, .patch, .connect, .trace, .other:
            return .refused(.methodNotAllowed("GET, HEAD, POST, DELETE"))
        }
        if let refusal = forgeable(head, as: "session") { return .refused(refusal) }
        var response = PlainResponse(status: 204)
        let name = AdminSession.cookieName(port: head.authority.map { String(head.string($0.range).portText) } ?? "")
        var cookie = "\(name)=; Max-Age=0"
        if head.method == .post {
            guard let token, isShown(token, by: head), let value = AdminSession.value(token, now: now) else {
                return token == nil ? .answer(response) : .refused(.tokenRequired)
            }
            cookie = "\(name)=\(value); Max-Age=\(AdminSession.lifetime)"
        }
        // Made of digits, letters and a port: it is one line.
        try? response.headers.append("Set-Cookie", "\(cookie); Path=/; HttpOnly; SameSite=Strict")
        return .answer(response)
    }

    private func live(_ head: RequestHead, _ now: Int64) -> Verdict {
        switch OpeningHandshake.evaluate(head) {
        case .notWebSocket:
            return .refused(
                PlainResponse(status: 426, word: "not-a-websocket-request", sentence: "this is a WebSocket"))
        case .refused(let refusal): return .refused(refusal.response)
        case .offered(let handshake):
            // A browser opens a WebSocket to anywhere, and sends the cookie along.
            if head.first("origin") == nil { return .refused(.originRequired) }
            return isKnown(head, now) ? .live(handshake) : .refused(.tokenRequired)
        }
    }

    private func action(_ name: String, _ head: RequestHead, _ now: Int64) -> Verdict {
        guard head.method == .post else { return .refused(.methodNotAllowed("POST")) }
        if let refusal = forgeable(head, as: name) { return .refused(refusal) }
        if !isKnown(head, now) { return .refused(.tokenRequired) }
        let handler = head.queryValue("handler".utf8.span).map { " \(String(decoding: $0, as: UTF8.self))" } ?? ""
        do throws(ControlCommand.Failure) {
            return .command(try ControlCommand(line: Array("\(name)\(handler)".utf8)))
        } catch {
            return .refused(PlainResponse(status: 400, word: "bad-request", sentence: error.sentence))
        }
    }

    /// A page of somebody else can have a browser send a form here, but not from this origin, and not with a header of
    /// its own.
    private func forgeable(_ head: RequestHead, as name: String) -> PlainResponse? {
        if head.first("origin") == nil { return .originRequired }
        guard head.count("x-gateway-action") == 1, let value = head.first("x-gateway-action"),
            head.bytes[value].elementsEqual(name.utf8)
        else {
            return PlainResponse(
                status: 403, word: "header-required", sentence: "what changes something says X-Gateway-Action: \(name)")
        }
        return nil
    }

    // MARK: Who asks

    /// By the token, or by what a browser was given for it.
    private func isKnown(_ head: RequestHead, _ now: Int64) -> Bool {
        guard let token else { return true }
        if isShown(token, by: head) { return true }
        let port = head.authority.map { head.string($0.range).portText } ?? ""
        let name = AdminSession.cookieName(port: String(port))
        return head.cookieValue(name.utf8.span).map { AdminSession.isValid($0, token, now: now) } ?? false
    }

    private func isShown(_ token: BearerToken, by head: RequestHead) -> Bool {
        guard head.count("authorization") == 1, let value = head.first("authorization") else { return false }
        return token.isShown(by: head.bytes[value])
    }

    /// A page of somebody else in a browser of this machine may ask here by a name that its owner has pointed at us (DNS
    /// rebinding), or from its own origin.
    private func foreign(_ head: RequestHead) -> PlainResponse? {
        if let authority = head.authority, let hosts {
            let host = head.string(authority.host).lowercased()
            if !Self.isAddress(host), host != "localhost", !hosts.contains(host) {
                return PlainResponse(
                    status: 403, word: "host-not-allowed",
                    sentence: "this is not known here as \(host); `hosts` in the block of `admin` adds names")
            }
        }
        guard let origin = head.first("origin") else { return nil }
        let own = head.authority.map { head.string($0.range).lowercased() } ?? ""
        let asked = head.string(origin).lowercased()
        if head.count("origin") == 1, ["http://\(own)", "https://\(own)"].contains(asked) { return nil }
        return PlainResponse(
            status: 403, word: "origin-not-allowed", sentence: "pages of other origins may not read this")
    }

    /// Whether it is a number, and so no name that somebody could have pointed here.
    private static func isAddress(_ host: String) -> Bool {
        if host.hasPrefix("["), host.hasSuffix("]") { return true }
        var address = in_addr()
        return unsafe inet_pton(AF_INET, host, &address) == 1
    }
}

extension String {
    /// Of a host with a port, the digits behind it; empty where there is none.
    fileprivate var portText: Substring {
        guard let colon = lastIndex(of: ":"), !hasSuffix("]") else { return "" }
        return self[index(after: colon)...]
    }
}

extension PlainResponse {
    fileprivate static func methodNotAllowed(_ methods: String) -> PlainResponse {
        var response = PlainResponse(status: 405, word: "method-not-allowed", sentence: "there are \(methods)")
        response.allow = methods
        return response
    }

    fileprivate static var tokenRequired: PlainResponse {
        var response = PlainResponse(
            status: 401, word: "token-required", sentence: "show the token of token_file: Authorization: Bearer TOKEN")
        try? response.headers.append("WWW-Authenticate", "Bearer realm=\"gateway\"")
        return response
    }

    fileprivate static var originRequired: PlainResponse {
        PlainResponse(
            status: 403, word: "origin-not-allowed",
            sentence: "only pages of this place may do that: Origin is missing")
    }
}
