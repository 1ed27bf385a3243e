import CGatewayABI
import HTTP

/// A handler's answer to an upgrade or a plain request, copied and checked, ready to cross threads.
struct Reply: Sendable {
    var status: Int
    /// Empty when the handler named none.
    var subprotocol: [UInt8]
    var headers: ResponseHeaders
    var body: [UInt8]
    /// The connection's state pointer; opaque to us, the handler's own to share.
    var state: UInt

    var acceptsUpgrade: Bool { status == 101 || status == 0 }

    init(status: Int) {
        self.status = status
        subprotocol = []
        headers = ResponseHeaders()
        body = []
        state = 0
    }

    /// Copies a reply of the ABI, which has all of version 1.0; nil when something in it may not be sent.
    init?(_ raw: UnsafePointer<gw_reply>) {
        let reply = unsafe raw.pointee
        status = unsafe Int(reply.status)
        guard status == 0 || status == 101 || (200...599).contains(status) else { return nil }
        subprotocol = unsafe Array(view: reply.subprotocol)
        headers = ResponseHeaders()
        guard unsafe reply.headers.len == 0 || (reply.headers.len > 0 && reply.headers.ptr != nil),
            unsafe reply.body.len == 0 || (reply.body.len > 0 && reply.body.ptr != nil)
        else { return nil }
        let pairs = unsafe UnsafeBufferPointer(start: reply.headers.ptr, count: reply.headers.len)
        for index in pairs.indices {
            let header = unsafe pairs[index]
            let name = unsafe Array(view: header.key)
            let value = unsafe Array(view: header.value)
            guard (try? headers.append(name.span, value.span)) != nil else { return nil }
        }
        body = unsafe Array(UnsafeBufferPointer(start: reply.body.ptr, count: reply.body.len))
        state = unsafe UInt(bitPattern: reply.conn_state)
    }
}

extension Array where Element == UInt8 {
    /// Copies the bytes of a view that the other side lends.
    init(view: gw_str) {
        guard let start = unsafe view.ptr, unsafe view.len > 0 else {
            self = []
            return
        }
        self = unsafe Array(UnsafeRawBufferPointer(start: start, count: view.len))
    }
}
