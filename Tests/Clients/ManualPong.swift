public import GatewayHandler

/// Answers pings itself, in its own words, as a handler with a protocol of its own over pings would.
final class ManualPong: ReactiveHandler, PingHandler {
    static let manifest = Manifest(name: "manual-pong", options: .manualPong)

    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) { connection.send(message) }

    func ping(_ connection: Connection, _ payload: RawSpan, _ state: inout Void) {
        connection.pong(Array("by hand".utf8))
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(ManualPong.self, to: host)
}
