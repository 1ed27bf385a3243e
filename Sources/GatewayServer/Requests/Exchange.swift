import CGatewayABI
import HTTP
import WebSocket

/// A request that was routed to a handler, from its head to its answer.
///
/// Made once a request, touched only by the worker of its connection. A deferred answer keeps it alive meanwhile.
@safe final class Exchange {
    let head: RequestHead
    let binding: UnsafeMutablePointer<Binding>
    /// The `:name` parts of the route, decoded, and what `/*` stands for under the name `*`.
    let parameters: [(name: String, value: [UInt8])]
    /// nil for a plain request.
    let handshake: OpeningHandshake?
    let ticket: UInt64
    let uuid: (UInt64, UInt64)
    /// When its head was whole, by the monotonic clock.
    let receivedAt: UInt64
    /// The body of a plain request as far as it has come.
    var body: [UInt8] = []
    /// What `reply()` said while the callback was still running.
    var reply: Reply?
    /// `http` runs on the pool, or waits for it. What it replies takes effect when it has returned, as on a loop: else
    /// the next request of the connection would be asked about beside it. Behind `upgrade` the same callback queue goes
    /// on.
    var isOnPool = false
    /// The request as handlers see it, filled when first asked for.
    var record = RequestRecord()

    init(
        head: RequestHead, binding: UnsafeMutablePointer<Binding>, parameters: [(name: String, value: [UInt8])],
        handshake: OpeningHandshake?, ticket: UInt64, uuid: (UInt64, UInt64), receivedAt: UInt64
    ) {
        self.receivedAt = receivedAt
        self.head = head
        unsafe self.binding = binding
        self.parameters = parameters
        self.handshake = handshake
        self.ticket = ticket
        self.uuid = uuid
    }
}
