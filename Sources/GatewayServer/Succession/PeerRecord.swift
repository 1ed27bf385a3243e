import GatewayIO

/// What a connection's record says of the peer that its socket does not say.
struct PeerRecord: Equatable, Sendable {
    /// For whom a proxy has connected, by its PROXY header.
    var announced: AddressRecord?
    /// For whom a proxy has asked, by the headers of the request.
    var forwarded: AddressRecord?
    /// Nobody on the way to that proxy could read along.
    var isForwardedSecurely = false
    /// How many streams it may have if it turns to HTTP/2; nil where none is spoken.
    var maxStreams: Int?
    /// What the process knows that relays it; nil where the socket is that of the peer.
    var relay: RelayRecord?
}

extension PeerRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case announced = 1
        case forwarded = 2
        case isForwardedSecurely = 3
        case maxStreams = 4
        case relay = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .announced: announced = try field.value()
            case .forwarded: forwarded = try field.value()
            case .isForwardedSecurely: isForwardedSecurely = try field.flag()
            case .maxStreams: maxStreams = try field.count()
            case .relay: relay = try field.value()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.announced, announced)
        writer.write(Tag.forwarded, forwarded)
        writer.write(Tag.isForwardedSecurely, isForwardedSecurely)
        writer.write(Tag.maxStreams, ifAny: maxStreams.map { UInt64($0) })
        writer.write(Tag.relay, relay)
    }
}

/// The address of a socket in a record.
struct AddressRecord: Equatable, Sendable {
    private(set) var address = SocketAddress(host: "", port: 0)

    init(_ address: SocketAddress) { self.address = address }
}

extension AddressRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case host = 1
        case port = 2
        case isUnix = 3
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        var (host, port, isUnix) = ("", UInt16(0), false)
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            // The path of a unix socket has 108 bytes at most.
            case .host: host = try field.text(atMost: 256)
            case .port: port = try field.number()
            case .isUnix: isUnix = try field.flag()
            case nil: continue
            }
        }
        address = isUnix ? SocketAddress(unixPath: host) : SocketAddress(host: host, port: port)
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.host, address.host)
        writer.write(Tag.port, address.port)
        writer.write(Tag.isUnix, address.isUnix)
    }
}
