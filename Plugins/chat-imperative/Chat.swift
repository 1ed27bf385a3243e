internal import ChatRoom
public import GatewayHandler

/// The chat in the imperative flavour: a loop per client, whose number is a variable of it.
///
/// A loop cannot be handed over, so after a reload its members go on talking among themselves, and to newcomers,
/// since lines go out under a topic; they leave when the route's `drain_timeout` is over.
final class Chat: ImperativeHandler, RequestHandler {
    static let manifest = Manifest(name: "chat-imperative")
    private let room: SharedRoom

    init(_ context: borrowing StartContext) throws { room = try SharedRoom(context) }

    func respond(to request: borrowing Request) -> Response? { SharedRoom.respond(to: request) }

    func run(_ session: Session) async throws {
        let number = room.join(session.connection)
        // Also when the connection breaks, which ends the loop with an error.
        defer { room.leave(session.connection) }
        for try await frame in session.frames {
            if let text = frame.text { room.say(text, by: number) } else { room.refuse(session.connection) }
        }
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Chat.self, to: host)
}
