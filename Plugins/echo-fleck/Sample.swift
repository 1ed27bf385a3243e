public import GatewayHandler

/// The sample of Fleck's README, closure for closure: every event is logged, every message answered.
private var sample: Functional<@Sendable (Socket) throws -> Void, Socket?> {
    fleck(Manifest(name: "echo-fleck")) { _ in
        { socket in
            let log = { socket.connection.log(.info, $0) }
            socket.onOpen = { log("OnOpen \(socket.info.path) \(socket.info.uuid)") }
            socket.onMessage = { text in
                log("OnMessage \(text)")
                socket.send("Echo: \(text)")
            }
            socket.onBinary = { bytes in
                log("OnBinary \(bytes.count)")
                socket.send(Array("Echo: ".utf8) + bytes)
            }
            socket.onPing = { _ in log("OnPing") }
            socket.onPong = { _ in log("OnPong") }
            socket.onError = { failure in log("OnError \(failure)") }
            socket.onClose = { event in log("OnClose \(event.code) \(event.reason)") }
        }
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(sample, to: host)
}
