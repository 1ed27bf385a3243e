public import GatewayHandler

/// What users of other libraries look for, a word each: a client says the word and sees what it does.
private let tour = fleck(Manifest(name: "tour")) { _ in
    { socket in
        socket.onMessage = { try answer($0, on: socket) }
        socket.onPing = { socket.send("ping \(String(decoding: $0, as: UTF8.self))") }
        socket.onPong = { socket.send("pong \(String(decoding: $0, as: UTF8.self))") }
        socket.onError = { socket.connection.log(.info, "onError \($0)") }
        socket.onClose = { event in
            let sent = socket.send("too late")
            socket.connection.log(.info, "onClose \(event.code) \(event.reason) \(sent) \(socket.connection.isOpen)")
        }
    }
}

private func answer(_ word: String, on socket: Socket) throws {
    let (connection, info) = (socket.connection, socket.info)
    switch word {
    case "path": socket.send(info.path)
    case "query": socket.send(info.query["a"] ?? "none")
    case "header": socket.send(info.headers["X-Tour"] ?? "none")
    case "cookie": socket.send(info.cookies["taste"] ?? "none")
    case "origin": socket.send(info.origin)
    case "host": socket.send(info.host)
    case "client": socket.send("\(info.peer)")
    case "id": socket.send("\(info.uuid)")
    case "subprotocol": socket.send(info.subprotocol ?? "none")
    case "binary": socket.send([0, 255])
    case "ping": connection.ping(Array("there?".utf8))
    case "task": Task { connection.send("from a task") }
    case "close": socket.close(CloseCode(4000), reason: "seen enough")
    case "abort": connection.abort()
    default: throw UnknownWord(word: word)
    }
}

private struct UnknownWord: Error {
    let word: String
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(tour, to: host)
}
