import GatewayHandler
import Synchronization

/// A chat room per route: what one client says, all clients of the route hear, as `[number]: text`.
///
/// Numbers count from 0 and are never given twice, so `[3]` is the same client in a whole conversation.
final class Chat: StatefulHandler, RequestHandler {
    static let manifest = Manifest(name: "chat")

    private let page = ChatPage.response
    private let room = Mutex(Room())

    init(_ context: borrowing StartContext) {}

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
        room.withLock { $0.relay(line) }
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ member: inout Member) {
        room.withLock { $0.leave(connection) }
    }
}

/// What the chat keeps of a client.
struct Member {
    var number: UInt64 = 0
}
