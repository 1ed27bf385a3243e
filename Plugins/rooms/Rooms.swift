public import GatewayHandler
internal import Synchronization

/// Rooms to talk in, one for each path: `/rooms/tea?name=Ada`.
///
/// What one visitor says, all in the room hear, as `Ada: text`. A later visitor is told the last lines first, as many as
/// `set history 50` says. Clients, their names and the history stay when a reload replaces this code. Where `cluster`
/// names an engine, those in a room at other gateways hear it as well; the history is each gateway's own. A browser gets
/// a page, which says at which gateway it is.
final class Rooms: StatefulHandler, RequestHandler, HandoverHandler, ReloadHandler {
    static let handover = Handover("gateway rooms")
    private let gateway: Gateway
    private let archive: Mutex<Archive>

    init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        archive = Mutex(Archive(limit: Int(try context.setting("history", as: UInt16.self) ?? 0)))
    }

    func respond(to request: borrowing Request) -> Response? {
        switch request.method {
        case "GET", "HEAD": RoomPage.response
        default: Response(status: 405, headers: ["allow": "GET, HEAD"])
        }
    }

    func upgrade(_ request: borrowing Request) -> Upgrade<Visitor> {
        let room = request.parameter("room") ?? "", name = request.query("name") ?? ""
        guard max(room.utf8.count, name.utf8.count) <= 64 else {
            return .reject(.text("a room or a name has at most 64 bytes\n", status: 400))
        }
        return .accept(Visitor(room: room, name: name.isEmpty ? "guest" : name))
    }

    // Within the lock, so that no line falls between the history and the topic. Each speaker's lines keep their order;
    // between threads nothing is promised: lines of two speakers may be heard in another order by other clients, and one
    // that is said just now may come to a newcomer both ways. Numbered lines would tell the two apart.
    func opened(_ connection: Connection, _ request: borrowing Request, _ visitor: inout Visitor) {
        if request.query(RoomPage.greeting) != nil { connection.send(GatewayName.own) }
        archive.withLock { archive in
            connection.subscribe(to: visitor.topic)
            for line in archive.lines[visitor.room] ?? [] { connection.send(line) }
        }
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ visitor: inout Visitor) {
        guard let text = message.text else {
            connection.close(.unsupportedData, reason: "rooms are for text")
            return
        }
        let line = "\(visitor.name): \(text)"
        archive.withLock { archive in
            archive.add(line, in: visitor.room, by: connection)
            gateway.publish(line, to: visitor.topic)
        }
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ visitor: inout Visitor) {
        archive.withLock { $0.late[connection] = nil }
    }
}

// MARK: - From one generation to the next

// Topics belong to the connections: none has to subscribe again, and while connections move both generations reach
// all of them.
extension Rooms {
    func reloadPending() { archive.withLock { $0.handOn() } }
    func snapshot() -> [String: [String]] { archive.withLock { $0.handedOn ?? $0.lines } }

    func restore(_ lines: [String: [String]]) {
        archive.withLock { archive in
            for (room, lines) in lines { archive.add(lines, in: room) }
        }
    }

    func save(_ visitor: Visitor, of connection: Connection, into writer: inout StateWriter) {
        writer.write(visitor)
        writer.write(archive.withLock { $0.late[connection] ?? [] })
    }

    func restoreState(of connection: Connection, from reader: inout StateReader) throws -> Visitor {
        let visitor = try reader.read(Visitor.self), late = try reader.read([String].self)
        archive.withLock { $0.add(late, in: visitor.room) }
        return visitor
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Rooms.self, to: host)
}
