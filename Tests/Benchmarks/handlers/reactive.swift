public import GatewayHandler

/// The echo of the benchmarks as methods that keep nothing.
final class Echo: ReactiveHandler {
    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) { connection.send(message) }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Echo.self, to: host)
}
