import GatewayIO
import Synchronization

/// Connections of one binding on their way to another one, in all workers.
///
/// Made by the control thread, which then only reads; each worker walks its own connections.
final class Handover: Sendable {
    /// What happens to a connection.
    enum Kind: Sendable {
        /// The instance is the same, only limits or names changed: no handler is asked.
        case swap
        /// State goes from the old instance to the new one; a connection that either refuses drains.
        case migrate
        /// Connections stay where they are until they end or time is up, then 1012.
        case drain
        /// 1012, spread over some time so that clients do not all come back at once.
        case close
    }

    let kind: Kind
    private let source: UInt
    private let target: UInt
    /// Both sides keep no state: there is nothing to save.
    let isStateless: Bool
    /// Ticks until connections that are left are closed with 1012.
    let patience: UInt32

    /// Connections that serve on at the new binding.
    let moved = Atomic<Int>(0)
    /// Connections that either side refused to hand over.
    let refused = Atomic<Int>(0)
    /// Connections that were closed over it.
    let closed = Atomic<Int>(0)
    /// When the last connection so far was moved.
    let lastMove = Atomic<UInt64>(0)
    /// Workers that have looked at each of their connections.
    let passed = Atomic<Int>(0)
    /// Rung when a worker has.
    let progress: ControlWaker

    init(
        _ kind: Kind, from source: UnsafeMutablePointer<Binding>, to target: UnsafeMutablePointer<Binding>,
        isStateless: Bool, patience: UInt32, progress: ControlWaker
    ) {
        self.kind = kind
        self.source = UInt(bitPattern: source)
        self.target = UInt(bitPattern: target)
        self.isStateless = isStateless
        self.patience = patience
        self.progress = progress
    }

    var from: UnsafeMutablePointer<Binding>? { unsafe UnsafeMutablePointer(bitPattern: source) }
    var to: UnsafeMutablePointer<Binding>? { unsafe UnsafeMutablePointer(bitPattern: target) }

    func isFrom(_ binding: UnsafeMutablePointer<Binding>?) -> Bool { UInt(bitPattern: binding) == source }
    func hasSameSource(as other: Handover) -> Bool { source == other.source }
}

/// Wakes the control thread; shared by all threads that have news for it.
final class ControlWaker: Sendable {
    let waker: Waker

    init() throws(Errno) { waker = try Waker() }

    func ring() { waker.ring() }
}
