internal import CGatewayABI

/// An opening handshake or a plain HTTP request; borrowed from the gateway until the callback returns.
///
/// It cannot be copied or kept; everything read from it is a copy.
@safe
public struct Request: ~Copyable {
    private let raw: UnsafePointer<gw_request>
    let host: Host

    init(_ raw: UnsafePointer<gw_request>, _ host: Host) {
        unsafe self.raw = unsafe raw
        self.host = host
    }

    var ticket: gw_ticket { unsafe raw.pointee.ticket }

    /// The number of this request in the access log.
    public var id: UInt64 { unsafe raw.pointee.id }

    /// The name of the connection-to-be, for handlers that keep state by such names.
    public var uuid: ConnectionUUID { unsafe ConnectionUUID(raw.pointee.uuid) }

    /// GET for an opening handshake.
    public var method: String { unsafe String(raw.pointee.method) }

    /// Normalised and decoded, but for `%2F`.
    public var path: String { unsafe String(raw.pointee.path) }

    /// Behind the `?`, as sent; `query(_:)` looks one value up.
    public var rawQuery: String { unsafe String(raw.pointee.query) }

    /// The pattern in gateway.conf that matched, such as `/rooms/:room`.
    public var route: String { unsafe String(raw.pointee.route) }

    /// The Host header as sent, with its port.
    public var authority: String { unsafe String(raw.pointee.host) }

    /// The Origin header: which site's page is asking; empty when no browser asks.
    public var origin: String { unsafe String(raw.pointee.origin) }

    /// Where the client is, numerically.
    public var peer: Endpoint { unsafe Endpoint(address: String(raw.pointee.peer_addr), port: raw.pointee.peer_port) }

    /// Where the client reached the gateway, numerically.
    public var local: Endpoint {
        unsafe Endpoint(address: String(raw.pointee.local_addr), port: raw.pointee.local_port)
    }

    /// 11 is HTTP/1.1.
    public var httpVersion: UInt16 { unsafe raw.pointee.http_version }

    /// True when the gateway itself ended TLS for this client.
    public var isTLS: Bool { unsafe raw.pointee.flags & UInt32(GW_REQ_TLS) != 0 }

    /// True for an opening handshake, false for a plain request.
    public var isWebSocket: Bool { unsafe raw.pointee.flags & UInt32(GW_REQ_WEBSOCKET) != 0 }

    /// Whom the client's certificate was issued for, as in `CN=Ada,O=Example`; `nil` when it showed none. One that does
    /// not hold is refused before the request.
    public var tlsClientName: String? { unsafe String(nonEmpty: raw.pointee.tls_client_name) }

    /// `TLSv1.3`, say; `nil` without TLS.
    public var tlsVersion: String? { unsafe String(nonEmpty: raw.pointee.tls_version) }

    /// The cipher suite; `nil` without TLS.
    public var tlsCipher: String? { unsafe String(nonEmpty: raw.pointee.tls_cipher) }

    /// The server name the client asked TLS for; `nil` when it named none.
    public var tlsServerName: String? { unsafe String(nonEmpty: raw.pointee.tls_sni) }

    /// The subprotocols the client offers, in its order.
    public var subprotocols: [String] { unsafe [String](raw.pointee.subprotocols) }

    /// The subprotocol that was agreed upon, from `opened` on; `nil` when there is none, and in `upgrade`.
    public var subprotocol: String? {
        // Since ABI 1.1.
        guard unsafe Int(raw.pointee.struct_size) >= MemoryLayout<gw_request>.size else { return nil }
        return unsafe String(nonEmpty: raw.pointee.subprotocol)
    }

    /// The host the client asked for, without its port.
    public var hostName: String { ConnectionInfo.host(of: authority) }

    /// All header fields in wire order, names in lower case.
    public var headers: Headers { unsafe Headers(raw.pointee.headers) }

    /// All `:name` parts of the route.
    public var parameters: Headers { unsafe Headers(raw.pointee.params) }

    /// The body of a plain request.
    public var body: [UInt8] {
        let body = unsafe raw.pointee.body
        return unsafe [UInt8](UnsafeRawBufferPointer(start: body.ptr, count: body.len))
    }

    /// The first header of that name, in whatever case.
    public func header(_ name: String) -> String? { unsafe lookUp(host.table.pointee.req_header, name) }

    /// The first value of that name in the query, decoded; empty for a name without `=`.
    public func query(_ name: String) -> String? { unsafe lookUp(host.table.pointee.req_query, name) }

    /// The first cookie of that name, decoded.
    public func cookie(_ name: String) -> String? { unsafe lookUp(host.table.pointee.req_cookie, name) }

    /// What `:name` in the route stands for here, decoded; `*` is what a trailing wildcard stands for.
    public func parameter(_ name: String) -> String? { unsafe lookUp(host.table.pointee.req_param, name) }

    private typealias LookUp =
        @convention(c) (
            UnsafePointer<gw_host>?, UnsafePointer<gw_request>?, UnsafePointer<CChar>?, UnsafeMutablePointer<gw_str>?
        ) -> gw_status

    private func lookUp(_ function: LookUp?, _ name: String) -> String? {
        guard let function = unsafe function else { return nil }
        var found = unsafe gw_str()
        let status = unsafe name.withName { unsafe function(host.table, raw, $0, &found) }
        return status == gw_status(GW_OK) ? unsafe String(found) : nil
    }
}

/// A numeric address and its port.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// Numeric, without brackets.
    public let address: String
    public let port: UInt16

    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}
