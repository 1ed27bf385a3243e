public import GatewayHandler

/// Admission is decided before there is a connection, in `upgrade`, and by headers alone.
///
/// A client shows its token as `Authorization: Bearer` or, from a browser, as the cookie `token`. The tokens stand in a
/// file, `set tokens FILE`, that is read anew each time, so that taking one away works at once; files may block, so the
/// pool reads it, and the handshake is answered from there.
final class Auth: StatefulHandler, HandoverHandler {
    static let handover = Handover("gateway auth")
    private static let subprotocols: Set = ["auth.v2", "auth.v1"]
    private let gateway: Gateway
    private let tokens: TokenFile
    private let origin: String?

    init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        tokens = TokenFile(path: context.path("tokens") ?? "tokens")
        origin = context.setting("origin")
        _ = try tokens.user(of: [])  // A file that cannot be read is found out now, and not by the first client.
    }

    func upgrade(_ request: borrowing Request) -> Upgrade<String> {
        // RFC 6455 10.2: "Servers that are not intended to process input from any web page but only for certain sites
        // SHOULD verify the |Origin| field". Cookies come along whichever page asks; only browsers send an origin.
        if let origin, !request.origin.isEmpty, request.origin != origin { return .reject() }
        guard let token = request.bearer ?? request.cookie("token") else { return .reject(.unauthorized) }
        // The first that the client offers, of those that are spoken here.
        let subprotocol = request.subprotocols.first(where: Self.subprotocols.contains)
        let (answer, tokens) = (request.answerLater(with: String.self), tokens)
        do {
            try gateway.offload { _ in
                do {
                    let user = try tokens.user(of: Array(token.utf8))
                    answer.answer(Self.answer(user, subprotocol))
                } catch {
                    answer.answer(.reject(.unavailable))
                    throw error  // into the log
                }
            }
            return .later
        } catch {
            return .reject(.unavailable)  // The pool has too much to do.
        }
    }

    private static func answer(_ user: String?, _ subprotocol: String?) -> Upgrade<String> {
        guard let user else { return .reject(.unauthorized) }
        return .accept(user, subprotocol: subprotocol, headers: ["x-user": user])
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ user: inout String) {
        if let text = message.text { connection.send("\(user): \(text)") }
    }
}

extension Request {
    /// The token of an `Authorization: Bearer TOKEN`.
    fileprivate var bearer: String? {
        // RFC 9110 11.1: the name of a scheme is "case-insensitive".
        guard let words = header("authorization")?.split(separator: " "), words.count == 2,
            words[0].lowercased() == "bearer"
        else { return nil }
        return String(words[1])
    }
}

extension Response {
    fileprivate static var unavailable: Response { .text("try again later\n", status: 503) }

    /// RFC 9110 15.5.2: a 401 "MUST send a WWW-Authenticate header field".
    fileprivate static var unauthorized: Response {
        var response = text("show a token\n", status: 401)
        response.headers.add("www-authenticate", "Bearer realm=\"gateway\"")
        return response
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Auth.self, to: host)
}
