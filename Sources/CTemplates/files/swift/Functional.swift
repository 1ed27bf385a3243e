public import GatewayHandler

/// Answers each text message with its number on the connection: a closure per event, and a number per connection.
private var numbering: Functional<Void, Int> {
    Functional(Manifest(name: "@NAME@", version: "0.1.0")) { _ in
    } upgrade: { _, _ in
        .accept(0)
    }
    .onMessage { _, connection, message, count in
        guard let text = message.text else {
            connection.close(.unsupportedData, reason: "text only")
            return
        }
        count += 1
        connection.send("\(count): \(text)")
    }
    // A newer build takes the connections of this one over, and their numbers.
    .handsOver(Handover("@NAME@")) { _ in
        NoSnapshot()
    } restore: { _, _ in
    }
}

// The name is the contract's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(numbering, to: host)
}
