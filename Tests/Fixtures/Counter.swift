public import GatewayHandler
import Synchronization

#if SECOND
let version = "2"
#else
let version = "1"
#endif

/// The counter in Swift: answers "<version> <count> <text>", and takes counts and total along.
final class Counter: StatefulHandler, HandoverHandler, RequestHandler {
    static let manifest = Manifest(name: "counter", version: version)
    static let handover = Handover("counter")
    private let total = Mutex<UInt64>(0)

    init(_ context: borrowing StartContext) {}

    func upgrade(_ request: borrowing Request) -> Upgrade<UInt64> { .accept(0) }

    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout UInt64) {
        count += 1
        total.withLock { $0 += 1 }
        connection.send("\(version) \(count) \(message.text ?? "")")
    }

    func respond(to request: borrowing Request) -> Response? { .text("\(version) \(total.withLock { $0 })") }

    func snapshot() -> UInt64 { total.withLock { $0 } }
    func restore(_ snapshot: UInt64) { total.withLock { $0 = snapshot } }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Counter.self, to: host)
}
