/// Keeps a request alive for a callback, on whatever thread that runs. The worker does not touch its record meanwhile:
/// what changes it on the way is a callback of the same connection.
final class RetainedExchange: Sendable {
    private let address: UInt

    init(_ exchange: Exchange) {
        address = unsafe UInt(bitPattern: Unmanaged.passRetained(exchange).toOpaque())
    }

    deinit {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { return }
        unsafe Unmanaged<Exchange>.fromOpaque(pointer).release()
    }

    /// For the length of `body` at least.
    func with<Result>(_ body: (Exchange) -> Result) -> Result {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address) else { preconditionFailure("no exchange") }
        return unsafe Unmanaged<Exchange>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }
}
