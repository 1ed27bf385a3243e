import ChatRoom
import GatewayHandler

/// The chat in the reactive flavour: a method per event.
final class Chat: StatefulHandler, RequestHandler, HandoverHandler, ReloadHandler {
    static let manifest = Manifest(name: "chat")
    static let handover = SharedRoom.handover
    private let room: SharedRoom

    init(_ context: borrowing StartContext) throws { room = try SharedRoom(context) }

    func respond(to request: borrowing Request) -> Response? { SharedRoom.respond(to: request) }

    // The number is given on `opened`: a client that is let in but leaves during the handshake is numbered, too.
    func upgrade(_ request: borrowing Request) -> Upgrade<UInt64> { .accept(0) }

    func opened(_ connection: Connection, _ request: borrowing Request, _ number: inout UInt64) {
        number = room.join(connection)
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ number: inout UInt64) {
        guard let text = message.text else { return room.refuse(connection) }
        room.say(text, by: number)
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ number: inout UInt64) { room.leave(connection) }

    func reloadPending() { room.expectCopy() }
    func snapshot() -> Room { room.snapshot() }
    func restore(_ snapshot: Room) { room.restore(snapshot) }
    func restored(_ connection: Connection, _ number: inout UInt64) { room.rejoin(connection, number) }
}
