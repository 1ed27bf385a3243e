internal import ChatRoom
public import GatewayHandler

/// The chat in the functional flavour: a closure per event, given the room that all clients of the route share.
private var chat: Functional<SharedRoom, UInt64> {
    Functional(Manifest(name: "chat-functional")) {
        try SharedRoom($0)
    } upgrade: { _, _ in
        .accept(0)
    }
    .onOpened { room, connection, _, number in number = room.join(connection) }
    .onMessage { room, connection, message, number in
        guard let text = message.text else { return room.refuse(connection) }
        room.say(text, by: number)
    }
    .onClosed { room, connection, _, _ in room.leave(connection) }
    .onRequest { _, request in SharedRoom.respond(to: request) }
    .onReloadPending { room in room.expectCopy() }
    .handsOver(SharedRoom.handover) { room in
        room.snapshot()
    } restore: { room, snapshot in
        room.restore(snapshot)
    } restored: { room, connection, number in
        room.rejoin(connection, number)
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(chat, to: host)
}
