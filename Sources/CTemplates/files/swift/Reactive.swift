public import GatewayHandler

/// Answers each text message with its number on the connection: a method per event, and a number per connection.
final class Numbering: StatefulHandler, HandoverHandler {
    static let manifest = Manifest(name: "@NAME@", version: "0.1.0")
    /// A newer build takes the connections of this one over, and their numbers.
    static let handover = Handover("@NAME@")

    init(_ context: borrowing StartContext) {}

    func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }

    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {
        guard let text = message.text else {
            connection.close(.unsupportedData, reason: "text only")
            return
        }
        count += 1
        connection.send("\(count): \(text)")
    }
}

// The name is the contract's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Numbering.self, to: host)
}
