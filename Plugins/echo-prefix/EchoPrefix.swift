public import GatewayHandler

/// The echo of the ASP.NET Core tutorials: what comes in goes out behind "Server Response to: ", or what `set prefix`
/// says.
///
/// It streams: pieces go out as they come in, so a message may be larger than memory. When the client does not read,
/// nothing more is read from it either.
final class EchoPrefix: ReactiveHandler, FragmentHandler, DrainHandler {
    static let manifest = Manifest(name: "echo-prefix", options: .stateless)  // a reload reads the setting again
    private let prefix: String

    init(_ context: borrowing StartContext) { prefix = context.setting("prefix") ?? "Server Response to: " }

    func fragment(_ connection: Connection, _ piece: borrowing Message, _ state: inout Void) {
        let begin = piece.isFirst ? prefix : ""
        let result: SendResult
        if let text = piece.text {
            result = connection.sendFragment(begin + text, isFinal: piece.isFinal)
        } else {
            if piece.isFirst { connection.sendFragment(Array(prefix.utf8), isFinal: false) }
            result = connection.sendFragment(piece.bytes, isFinal: piece.isFinal)
        }
        switch result {
        case .backpressure: connection.setReading(false)
        // `slow_consumer drop_new` has lost a piece of a message that has begun: what would come would be another one.
        case .dropped: connection.close(.tryAgainLater)
        default: break
        }
    }

    func drained(_ connection: Connection, _ state: inout Void) { connection.setReading(true) }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(EchoPrefix.self, to: host)
}
