public import GatewayHandler

/// The echo of the benchmarks with something kept for each connection: how many messages came.
final class Echo: StatefulHandler {
    init(_ context: borrowing StartContext) {}

    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }

    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {
        count += 1
        connection.send(message)
    }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Echo.self, to: host)
}
