import CGatewayABI
import Glibc
import HTTP
import Synchronization

/// Host functions about requests and their answers.
@unsafe enum RequestFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.req_header = { _, request, name, out in
            guard let request = unsafe request, let name = unsafe name, let out = unsafe out else {
                return Status.invalid
            }
            return unsafe HostFunctions.find(name, in: request.pointee.headers, ignoringCase: true, out)
        }
        unsafe table.req_param = { _, request, name, out in
            guard let request = unsafe request, let name = unsafe name, let out = unsafe out else {
                return Status.invalid
            }
            return unsafe HostFunctions.find(name, in: request.pointee.params, ignoringCase: false, out)
        }
        unsafe table.req_query = { _, request, name, out in
            guard let request = unsafe request, let name = unsafe name, let out = unsafe out else {
                return Status.invalid
            }
            let query = unsafe Array(view: request.pointee.query)
            let value = unsafe QueryString.value(of: RequestFunctions.bytes(name).span, in: query.span, query.indices)
            return unsafe RequestFunctions.giveView(value, with: request, out)
        }
        unsafe table.req_cookie = { _, request, name, out in
            guard let request = unsafe request, let name = unsafe name, let out = unsafe out else {
                return Status.invalid
            }
            return unsafe RequestFunctions.giveView(
                RequestFunctions.cookie(RequestFunctions.bytes(name), request), with: request, out)
        }
        unsafe table.reply = { host, ticket, raw in
            guard let raw = unsafe raw else { return Status.invalid }
            return unsafe HostContext.with(host, else: Status.invalid) { unsafe $0.reply(ticket, raw) }
        }
    }

    /// The bytes of a NUL-terminated name.
    private static func bytes(_ name: UnsafePointer<CChar>) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
    }

    private static func cookie(_ name: [UInt8], _ request: UnsafePointer<gw_request>) -> [UInt8]? {
        let headers = unsafe request.pointee.headers
        let pairs = unsafe UnsafeBufferPointer(start: headers.ptr, count: headers.len)
        for index in pairs.indices {
            let header = unsafe pairs[index]
            guard unsafe header.key.len == 6, let key = unsafe header.key.ptr, unsafe strncmp(key, "cookie", 6) == 0
            else { continue }
            let line = unsafe Array(view: header.value)
            if let value = CookieString.value(of: name.span, in: line.span, line.indices) { return value }
        }
        return nil
    }

    /// Gives a decoded value the life of its request.
    private static func giveView(
        _ value: [UInt8]?, with request: UnsafePointer<gw_request>, _ out: UnsafeMutablePointer<gw_str>
    ) -> gw_status {
        guard let value else { return Status.notFound }
        guard let kept = unsafe RequestRecord.keep(value, with: request) else { return Status.noMemory }
        unsafe out.pointee = unsafe kept
        return Status.ok
    }
}

extension HostContext {
    /// Takes a handler's answer; it takes effect when the callback has returned.
    func reply(_ ticket: gw_ticket, _ raw: UnsafePointer<gw_reply>) -> gw_status {
        if isRetired.load(ordering: .acquiring) { return Status.retired }
        guard unsafe accepts(reply: raw), let reply = unsafe Reply(raw) else { return Status.invalid }
        let connection: ConnectionID
        switch server.pendingReplies.answer(ticket, module: module, reply) {
        case .taken(let id): connection = id
        case .twice: return Status.state
        case .unknown: return Status.closed
        case .invalid: return Status.invalid
        }
        let isTaken = unsafe HostFunctions.onWorker { $0.take(reply, for: ticket, of: connection) } ?? false
        if !isTaken { server.ports[connection.worker].post(.reply(connection, ticket: ticket, reply)) }
        return Status.ok
    }
}

extension Worker {
    /// A reply given inside the callback it answers needs no message.
    func take(_ reply: Reply, for ticket: gw_ticket, of id: ConnectionID) -> Bool {
        guard running.ticket == ticket, ticket != 0, id.worker == Int(port.index),
            let peer = table.find(slot: id.slot, serial: id.serial), let exchange = peer.pointee.exchange
        else { return false }
        exchange.reply = reply
        return true
    }
}
