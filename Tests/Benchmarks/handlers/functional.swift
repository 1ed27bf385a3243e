public import GatewayHandler

/// The echo of the benchmarks as a closure.
private var echo: Functional<Void, Void> {
    Functional(Manifest(name: "bench-functional")).onMessage { _, connection, message, _ in connection.send(message) }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(echo, to: host)
}
