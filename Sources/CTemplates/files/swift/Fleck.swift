public import GatewayHandler

/// Answers each text message with its number on the connection: one closure configures each socket.
///
/// Closures cannot be handed over: when a newer build comes, clients stay with this one until they leave.
private var numbering: Functional<@Sendable (Socket) throws -> Void, Socket?> {
    fleck(Manifest(name: "@NAME@", version: "0.1.0")) { _ in
        { socket in
            var count = 0
            socket.onMessage = { text in
                count += 1
                socket.send("\(count): \(text)")
            }
            socket.onBinary = { _ in socket.close(.unsupportedData, reason: "text only") }
        }
    }
}

// The name is the contract's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(numbering, to: host)
}
