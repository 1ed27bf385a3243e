import GatewayHTTP2
import GatewayIO
import HTTP

/// What a connection's record says of a peer that another process relays: on the pair of sockets nothing of it is to be seen.
struct RelayRecord: Equatable, Sendable {
    /// The gateway's end of the way to the peer.
    var local: AddressRecord?
    /// The listener that has accepted it lets nobody read along.
    var isSecure = false
    /// What was agreed on with the peer for that.
    var security: TransportSecurity?
    /// What the request is for that has come over HTTP/2; nil of others.
    var http2: RequestHead.HTTP2Request?
}

extension RelayRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case local = 1
        case isSecure = 2
        case version = 3
        case cipher = 4
        case serverName = 5
        case clientName = 6
        case http2 = 7
    }

    private enum Request: UInt8 {
        case plain = 1
        case webSocket
        case unknownProtocol
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        var agreed = TransportSecurity(version: "", cipher: "", serverName: "")
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .local: local = try field.value()
            case .isSecure: isSecure = try field.flag()
            case .version: agreed.version = try field.text()
            case .cipher: agreed.cipher = try field.text()
            case .serverName: agreed.serverName = try field.text()
            case .clientName: agreed.clientName = try field.text()
            case .http2: http2 = Self.kind(try field.choice())
            case nil: continue
            }
        }
        if !agreed.version.isEmpty { security = agreed }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.local, local)
        writer.write(Tag.isSecure, isSecure)
        writer.write(Tag.version, security?.version ?? "")
        writer.write(Tag.cipher, security?.cipher ?? "")
        writer.write(Tag.serverName, security?.serverName ?? "")
        writer.write(Tag.clientName, security?.clientName ?? "")
        writer.write(Tag.http2, ifAny: http2.map { Self.request($0).rawValue })
    }

    private static func request(_ kind: RequestHead.HTTP2Request) -> Request {
        switch kind {
        case .plain: .plain
        case .webSocket: .webSocket
        case .unknownProtocol: .unknownProtocol
        }
    }

    private static func kind(_ request: Request) -> RequestHead.HTTP2Request {
        switch request {
        case .plain: .plain
        case .webSocket: .webSocket
        case .unknownProtocol: .unknownProtocol
        }
    }
}

extension RelayRecord {
    /// Of a connection that is relayed here.
    init(_ peer: ConnectionPointer) {
        local = peer.pointee.transport.localAddress.map { AddressRecord($0) }
        isSecure = peer.pointee.rareState?.options.isSecure ?? false
        security = peer.pointee.transport.security
        http2 = peer.pointee.rareState?.stream?.request
    }
}
