/// The answer to a plain HTTP request, or to an upgrade that is refused.
///
/// The gateway adds Content-Length, Date and Connection, and leaves the body out for HEAD.
public struct Response: Sendable, Hashable {
    /// 200 to 599; anything else is answered as 500.
    public var status: Int
    public var headers: Headers
    public var body: [UInt8]
    var isLater = false

    public init(status: Int = 200, headers: Headers = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Plain text.
    public static func text(_ text: String, status: Int = 200) -> Response {
        Response(status: status, headers: ["content-type": "text/plain; charset=utf-8"], body: Array(text.utf8))
    }

    /// A page.
    public static func html(_ page: String, status: Int = 200) -> Response {
        Response(status: status, headers: ["content-type": "text/html; charset=utf-8"], body: Array(page.utf8))
    }

    /// A JSON text, made by the caller.
    public static func json(_ text: String, status: Int = 200) -> Response {
        Response(status: status, headers: ["content-type": "application/json"], body: Array(text.utf8))
    }

    /// The answer comes later, through what `Request.respondLater` gave; without one the gateway answers 504 when the
    /// route's `reply_timeout` is over.
    public static var later: Response {
        var response = Response()
        response.isLater = true
        return response
    }

    // 0 and 101 would accept an upgrade (gw_reply.status), other interim answers would leave the client waiting.
    var statusOnTheWire: UInt16 {
        (200...599).contains(status) ? UInt16(status) : 500
    }
}
