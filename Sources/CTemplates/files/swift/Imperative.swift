public import GatewayHandler

/// Answers each text message with its number on the connection: a loop per connection, whose number is a variable of it.
///
/// A loop cannot be handed over: when a newer build comes, clients stay with this one until they leave.
final class Numbering: ImperativeHandler {
    static let manifest = Manifest(name: "@NAME@", version: "0.1.0")

    init(_ context: borrowing StartContext) {}

    func run(_ session: Session) async throws {
        var count = 0
        for try await frame in session.frames {
            guard let text = frame.text else {
                session.connection.close(.unsupportedData, reason: "text only")
                return
            }
            count += 1
            session.send("\(count): \(text)")
        }
    }
}

// The name is the contract's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Numbering.self, to: host)
}
