import CGatewayABI
import GatewayIO
import HTTP
import HandlerModules
import Synchronization

/// Records of what a worker sees.
extension AccessRecord {
    /// With what is known of a peer.
    init(_ event: Event, of peer: ConnectionPointer) {
        self.init(event: event)
        id = peer.pointee.id.number
        self.peer = peer.pointee.peerAddress?.description
        tls = peer.pointee.security?.version
    }

    /// The end of a connection whose `close` has not been called.
    init(endOf peer: ConnectionPointer, on worker: Worker) {
        self.init(.close, of: peer)
        if let binding = unsafe peer.pointee.binding { unsafe note(binding) }
        if let request = peer.pointee.rareState?.loggedRequest { note(request) }
        subprotocol = peer.pointee.rareState?.subprotocol
        let ending = Ending(peer)
        code = ending.code
        by = Self.name(ofInitiator: ending.by)
        if !ending.reason.isEmpty {
            detail = String(decoding: ending.reason, as: UTF8.self)
        } else if ending.osError != 0 {
            detail = Errno(ending.osError).description
        }
        traffic = Traffic(
            messagesIn: ending.messagesIn, messagesOut: ending.messagesOut, bytesIn: ending.bytesIn,
            bytesOut: ending.bytesOut)
        let opened = worker.port.sharedTable[peer.pointee.slot].openedAt.load(ordering: .relaxed)
        durationMilliseconds = UInt64(worker.now &- opened) * UInt64(TimerWheel.tickMilliseconds)
    }

    /// - Parameter exchange: of a request that a handler was asked about; others are answered in the turn that has read
    ///   their head.
    mutating func note(_ head: RequestHead, _ exchange: Exchange?, on worker: Worker) {
        host = head.authority.map { String(decoding: head.bytes[$0.host], as: UTF8.self) }
        method = head.methodName
        path = head.string(head.target.range)
        http = head.http2 == nil ? "1.\(head.minorVersion)" : "2"
        if let exchange { unsafe note(exchange.binding) }
        let (began, now) = (exchange?.receivedAt ?? worker.nowNanoseconds, worker.clock())
        durationMilliseconds = now > began ? (now - began) / 1_000_000 : 0
    }

    private mutating func note(_ request: LoggedRequest) {
        (peer, host, method) = (request.peer, request.host, request.method)
        (path, http) = (request.path, request.http)
    }

    mutating func note(_ route: Route) { (self.route, handler) = (route.name, route.handler) }

    mutating func note(_ binding: UnsafeMutablePointer<Binding>) {
        unsafe note(binding.pointee.route)
        generation = unsafe binding.pointee.instanceContext.instance.generation.number
    }

    /// GW_BY_* in words.
    static func name(ofInitiator by: UInt16) -> String {
        switch by {
        case UInt16(GW_BY_PEER): "peer"
        case UInt16(GW_BY_HANDLER): "handler"
        case UInt16(GW_BY_GATEWAY): "gateway"
        case UInt16(GW_BY_RELOAD): "reload"
        case UInt16(GW_BY_SHUTDOWN): "shutdown"
        default: "transport"
        }
    }
}

/// What the line of a connection's end says of its request, which is forgotten by then. Kept only where there is an access
/// log.
final class LoggedRequest {
    /// Its socket may have lost it by the end.
    let peer: String?
    let host: String?
    let method: String?
    let path: String?
    let http: String?

    init(_ record: AccessRecord) {
        (peer, host, method) = (record.peer, record.host, record.method)
        (path, http) = (record.path, record.http)
    }

    /// As another process has said it.
    init(_ record: LoggedRequestRecord) {
        (peer, host, method) = (record.peer, record.host, record.method)
        (path, http) = (record.path, record.http)
    }

    var record: LoggedRequestRecord {
        var record = LoggedRequestRecord()
        (record.peer, record.host, record.method) = (peer, host, method)
        (record.path, record.http) = (path, http)
        return record
    }
}
