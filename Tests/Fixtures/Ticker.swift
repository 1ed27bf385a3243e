public import GatewayHandler

/// Keeps nothing, but a timer for who asks for one.
final class Ticker: ReactiveHandler {
    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) {
        if message.text == "tick" { connection.every(.milliseconds(2)) { $0.send("tick") } }
        connection.send(message)
    }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Ticker.self, to: host)
}
