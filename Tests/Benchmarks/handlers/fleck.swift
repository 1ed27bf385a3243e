public import GatewayHandler

/// The echo of the benchmarks in the manner of Fleck, where a message is a string of its own.
private var echo: Functional<@Sendable (Socket) throws -> Void, Socket?> {
    fleck(Manifest(name: "bench-fleck")) { _ in
        { socket in
            socket.onMessage = { text in socket.send(text) }
            socket.onBinary = { bytes in socket.send(bytes) }
        }
    }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(echo, to: host)
}
