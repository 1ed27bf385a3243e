import GatewayHandler
import Synchronization

/// A chat room per route: what one client says, all clients of the route hear, as `[number]: text`.
///
/// Numbers count from 0 and are never given twice, so `[3]` is the same client in a whole conversation, also across
/// reloads. `set history 20` in gateway.conf shows newcomers the last 20 lines.
final class Chat: StatefulHandler, RequestHandler, HandoverHandler, ReloadHandler {
    static let manifest = Manifest(name: "chat")
    static let handover = Handover("gateway chat")

    private let page = ChatPage.response
    private let gateway: Gateway
    private let room: Mutex<Room>

    init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        room = Mutex(Room(historyLimit: Int(try context.setting("history", as: UInt16.self) ?? 0)))
    }

    func respond(to request: borrowing Request) -> Response? {
        switch request.method {
        case "GET", "HEAD": page
        default: Response(status: 405, headers: ["allow": "GET, HEAD"])
        }
    }

    // The number is given on `opened`: a client that is let in but leaves during the handshake is numbered, too.
    func upgrade(_ request: borrowing Request) -> Upgrade<Member> { .accept(Member()) }

    func opened(_ connection: Connection, _ request: borrowing Request, _ member: inout Member) {
        member.number = room.withLock { $0.join(connection) }
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ member: inout Member) {
        guard let text = message.text else {
            // RFC 6455 7.4.1: 1003 when "it has received a type of data it cannot accept". The clients of a chat show
            // text; passing on what they cannot show, or losing it silently, would both look like a broken chat.
            connection.close(.unsupportedData, reason: "this chat is text only")
            return
        }
        let line = "[\(member.number)]: \(text)"
        room.withLock { $0.relay(line, through: gateway) }
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ member: inout Member) {
        room.withLock { $0.leave(connection) }
    }

    // A reload: see Room for what happens while there are two of it.

    func reloadPending() { room.withLock { $0.expectCopy() } }
    func snapshot() -> Room { room.withLock { $0 } }
    func restore(_ snapshot: Room) { room.withLock { $0.take(over: snapshot) } }

    func restored(_ connection: Connection, _ member: inout Member) {
        room.withLock { $0.rejoin(connection, member.number) }
    }
}

/// What the chat keeps of a client.
struct Member: StateValue {
    var number: UInt64 = 0

    init() {}
    init(from reader: inout StateReader) throws { number = try reader.read() }
    func encode(into writer: inout StateWriter) { writer.write(number) }
}
