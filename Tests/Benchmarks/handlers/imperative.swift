public import GatewayHandler

/// The echo of the benchmarks as a loop.
final class Echo: ImperativeHandler {
    init(_ context: borrowing StartContext) {}

    func run(_ session: Session) async throws {
        for try await frame in session.frames { session.send(frame) }
    }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Echo.self, to: host)
}
