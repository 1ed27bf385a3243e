import HTTP
import Synchronization
import WebSocket

/// Why a request is not served: a status, a code word for programs, a sentence for people.
struct Rejection: Sendable, Equatable {
    let status: Int
    let word: String
    let sentence: String
    /// After how many seconds it may be worth another try.
    var retryAfter: Int?

    init(_ status: Int, _ word: String, _ sentence: String, retryAfter: Int? = nil) {
        self.retryAfter = retryAfter
        self.status = status
        self.word = word
        self.sentence = sentence
    }

    static let draining = Rejection(503, "draining", "the gateway is shutting down")
    static let tooManyConnections = Rejection(503, "too-many-connections", "max_connections is reached")
    static let routeFull = Rejection(503, "too-many-connections", "max_connections of the route is reached")
    static let memoryLimit = Rejection(503, "memory-limit", "max_memory is reached")
    static let noRoute = Rejection(404, "no-route", "nothing is served at this path")
    static let requestTimeout = Rejection(408, "request-timeout", "the request took too long")
    static let bodyTimeout = Rejection(408, "request-timeout", "the body took too long")
    static let replyTimeout = Rejection(504, "reply-timeout", "the handler did not answer in time")
    static let tooManyOfAddress = Rejection(
        429, "too-many-connections-per-ip", "max_connections_per_ip is reached", retryAfter: 10)
    static let addressNotAllowed = Rejection(403, "address-not-allowed", "this address may not connect here")
    static let originNotAllowed = Rejection(403, "origin-not-allowed", "pages of this origin may not connect here")
    static let handlerRefused = Rejection(403, "handler-refused", "the handler refused the connection")
    static let notFound = Rejection(404, "not-found", "the handler has nothing here")
    static let handlerFailed = Rejection(500, "handler-failed", "the handler failed")
    static let notWebSocket = Rejection(400, "not-a-websocket-request", "this path speaks WebSocket only")
    static let plainHTTP = Rejection(400, "plain-http-on-tls-port", "this port speaks TLS only; use https or wss")
    static let lengthRequired = Rejection(411, "length-required", "a body needs a Content-Length")
    static let contentTooLarge = Rejection(413, "content-too-large", "the body is larger than max_body")

    static func tooManyHandshakes(retryAfter: Int) -> Rejection {
        Rejection(429, "too-many-handshakes", "handshake_rate is reached", retryAfter: retryAfter)
    }

    /// - Parameter why: a clause for strangers.
    static func crashed(_ why: String) -> Rejection { Rejection(503, "handler-crashed", why) }

    /// The reason may tell of files and functions: it is for the operator, not for strangers.
    static func unavailable(_ handler: String) -> Rejection {
        Rejection(503, "handler-unavailable", "handler \"\(handler)\" is not being served")
    }

    /// The answer to the request, after which the connection closes unless the caller says otherwise.
    var response: PlainResponse {
        var response = PlainResponse(status: status, word: word, sentence: sentence)
        response.retryAfter = retryAfter
        return response
    }
}

/// How many requests were rejected, by code word. Any thread.
final class RejectionCounter: Sendable {
    private let counts = Mutex<[String: UInt64]>([:])

    func note(_ word: String, times: UInt64 = 1) {
        if times > 0 { counts.withLock { $0[word, default: 0] &+= times } }
    }

    /// In the order of the words.
    var all: [(word: String, count: UInt64)] {
        counts.withLock { $0.sorted { $0.key < $1.key }.map { (word: $0.key, count: $0.value) } }
    }
}
