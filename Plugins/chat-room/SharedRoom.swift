package import GatewayHandler
internal import Synchronization

/// A chat room per route, whatever flavour its handler is written in.
///
/// What one client says, all clients of the route hear, as `[number]: text`. Numbers count from 0 and are never given
/// twice, so `[3]` is the same client in a whole conversation, also across reloads. `set history 20` in gateway.conf
/// shows newcomers the last 20 lines.
package final class SharedRoom: Sendable {
    private static let page = ChatPage.response
    private let gateway: Gateway
    private let room: Mutex<Room>

    package init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        room = Mutex(Room(historyLimit: Int(try context.setting("history", as: UInt16.self) ?? 0)))
    }

    /// The page to chat with, under the path of the route.
    package static func respond(to request: borrowing Request) -> Response {
        switch request.method {
        case "GET", "HEAD": page
        default: Response(status: 405, headers: ["allow": "GET, HEAD"])
        }
    }

    /// Takes a client in; its number.
    package func join(_ connection: Connection) -> UInt64 { room.withLock { $0.join(connection) } }

    /// Takes a client out.
    package func leave(_ connection: Connection) { room.withLock { $0.leave(connection) } }

    /// Tells all members what a client says.
    package func say(_ text: String, by number: UInt64) {
        let line = "[\(number)]: \(text)"
        room.withLock { $0.relay(line, through: gateway) }
    }

    /// Answers what is no text.
    package func refuse(_ connection: Connection) {
        // RFC 6455 7.4.1: 1003 when "it has received a type of data it cannot accept". The clients of a chat show text;
        // passing on what they cannot show, or losing it silently, would both look like a broken chat.
        connection.close(.unsupportedData, reason: "this chat is text only")
    }
}

// MARK: - From one generation to the next; see Room

extension SharedRoom {
    /// The name and version of what is saved.
    package static let handover = Handover("gateway chat")

    /// A snapshot is about to be taken.
    package func expectCopy() { room.withLock { $0.expectCopy() } }

    /// The room as it is now.
    package func snapshot() -> Room { room.withLock { $0 } }

    /// Goes on where the room of an earlier generation was.
    package func restore(_ snapshot: Room) { room.withLock { $0.take(over: snapshot) } }

    /// Takes in a client that an earlier generation has numbered.
    package func rejoin(_ connection: Connection, _ number: UInt64) {
        room.withLock { $0.rejoin(connection, number) }
    }
}
