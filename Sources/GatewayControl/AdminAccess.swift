import Glibc
package import HTTP

/// Who is let in by the admin listener, and what it has.
package struct AdminAccess: Sendable {
    /// What is there.
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
    package func judge(_ head: RequestHead) -> Verdict {
        if let refusal = foreign(head) { return .refused(refusal) }
        let path = String(decoding: head.target.path.bytes, as: UTF8.self)
        guard let page = Page(rawValue: path) else {
            return .refused(
                PlainResponse(status: 404, word: "not-found", sentence: "there are /metrics, /healthz and /readyz"))
        }
        guard head.method == .get || head.method == .head else {
            var response = PlainResponse(
                status: 405, word: "method-not-allowed", sentence: "it can be read, by GET or HEAD")
            response.allow = "GET, HEAD"
            return .refused(response)
        }
        if !page.isPublic, let token, !isShown(token, by: head) {
            var response = PlainResponse(
                status: 401, word: "token-required",
                sentence: "show the token of token_file: Authorization: Bearer TOKEN")
            try? response.headers.append("WWW-Authenticate", "Bearer realm=\"gateway\"")
            return .refused(response)
        }
        return .page(page)
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
