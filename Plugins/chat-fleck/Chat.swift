internal import ChatRoom
public import GatewayHandler

/// The chat in the style of Fleck: one closure configures each socket.
///
/// Closures cannot be handed over: on a reload its clients stay with the generation they came to.
private var chat: Functional<@Sendable (Socket) throws -> Void, Socket?> {
    fleck(Manifest(name: "chat-fleck")) { context in
        let room = try SharedRoom(context)
        return { socket in
            var number: UInt64 = 0
            socket.onOpen = { number = room.join(socket.connection) }
            socket.onMessage = { text in room.say(text, by: number) }
            socket.onBinary = { _ in room.refuse(socket.connection) }
            socket.onClose = { _ in room.leave(socket.connection) }
        }
    }
    .onRequest { _, request in SharedRoom.respond(to: request) }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(chat, to: host)
}
