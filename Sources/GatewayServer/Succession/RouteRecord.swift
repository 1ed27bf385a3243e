/// What a connection's record says of where it belongs.
struct RouteRecord: Equatable, Sendable {
    /// Of the host and path of the configuration, as `Route.name` has it.
    var name = ""
    /// The name of the handler there.
    var handler = ""
    var subprotocol: String?
    /// What the access log has said of the request; nil where none is written.
    var logged: LoggedRequestRecord?
}

extension RouteRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case name = 1
        case handler = 2
        case subprotocol = 3
        case logged = 4
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .name: name = try field.text()
            case .handler: handler = try field.text()
            case .subprotocol: subprotocol = try field.text()
            case .logged: logged = try field.value()
            case nil: continue
            }
        }
        if name.isEmpty || handler.isEmpty { throw reader.contradiction("a route has a name and a handler") }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.name, name)
        writer.write(Tag.handler, handler)
        writer.write(Tag.subprotocol, ifAny: subprotocol)
        writer.write(Tag.logged, logged)
    }
}

/// What the access log says of the request of a connection when that ends.
struct LoggedRequestRecord: Equatable, Sendable {
    var peer: String?
    var host: String?
    var method: String?
    var path: String?
    var http: String?
}

extension LoggedRequestRecord: RecordValue {
    private enum Tag: UInt16, RecordTag {
        case peer = 1
        case host = 2
        case method = 3
        case path = 4
        case http = 5
    }

    init(from reader: inout RecordReader) throws(RecordError) {
        while let field = try reader.next() {
            switch Tag(rawValue: field.tag) {
            case .peer: peer = try field.text()
            case .host: host = try field.text()
            case .method: method = try field.text()
            case .path: path = try field.text()
            case .http: http = try field.text()
            case nil: continue
            }
        }
    }

    func encode(into writer: inout RecordWriter) {
        writer.write(Tag.peer, ifAny: peer)
        writer.write(Tag.host, ifAny: host)
        writer.write(Tag.method, ifAny: method)
        writer.write(Tag.path, ifAny: path)
        writer.write(Tag.http, ifAny: http)
    }
}
