import GatewayIO
import Synchronization

/// Takes what goes to another process. Any thread calls it; it does not block.
protocol TransferReceiver: AnyObject, Sendable {
    /// As long as it has none, connections stay where they are.
    var hasRoom: Bool { get }
    /// Keeps a place for a connection among what goes there, behind what is for it and before what will be.
    ///
    /// - Parameter withdraw: makes the connection closed to every sender here; false, and nothing happens, when something
    ///   for it waits.
    func reserve(_ connection: UInt64, _ withdraw: () -> Bool) -> Bool
    /// A connection, of which nothing is left here, at its place if it has one; the descriptor changes its owner.
    func take(_ connection: UInt64, _ record: [UInt8], _ descriptor: Int32)
}

/// The connections of this process on their way to another one, in all workers.
///
/// Made by the control thread, which then only reads; each worker walks its own connections (`ConnectionExporter`).
final class ConnectionTransfer: Sendable {
    /// Connections that are still here, by why.
    struct Remainder: Equatable, Sendable {
        /// They move as soon as they are quiet.
        var busy = 0
        /// They speak TLS or HTTP/2, or answer a request.
        var bound = 0
        /// Their handler cannot hand them over, or either side refused.
        var unmovable = 0

        var total: Int { busy + bound + unmovable }

        static func + (one: Remainder, other: Remainder) -> Remainder {
            Remainder(
                busy: one.busy + other.busy, bound: one.bound + other.bound,
                unmovable: one.unmovable + other.unmovable)
        }

        /// A few words for each reason.
        var reasons: [String] {
            [
                (bound, "over TLS or HTTP/2, or in the middle of a request"),
                (unmovable, "whose handler does not hand them over"),
                (busy, "that move when they are quiet"),
            ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        }
    }

    /// Stands for the other process where a connection has been refused (`RareState.refusedInstance`): no instance has it.
    static let instance = UInt64.max

    /// By the name of the route: its handler there, and what that can do; nil where there is none.
    private let targets: [String: (handler: String, facts: HandoverFacts)]
    let receiver: any TransferReceiver
    /// Ticks until the last connections that are left, and belong to no route, are closed; those of a route have its
    /// `drain_timeout`. 0 = they are closed from the beginning.
    let patience: UInt32
    /// Over so many ticks at the end of that.
    let spread: UInt32
    /// Routes whose connections are told at once that nobody takes them over; nil for all.
    private let closing: Set<String>?
    /// What they, and those that are left, are told.
    let reason: String
    /// Connections that another process relays stay: it goes on relaying.
    let keepsRelayed: Bool
    /// Handlers whose processes give their connections to those of the other program.
    let heirs: Set<String>
    /// Rung when a worker has looked at each of its connections once.
    private let progress: ControlWaker

    /// What was under way before this, and is not any more.
    private let former: ConnectionTransfer?
    let moved = Atomic<Int>(0)
    /// Connections whose handler does not let go of them.
    let refused = Atomic<Int>(0)
    /// Connections that were closed over it.
    let closed = Atomic<Int>(0)
    /// Workers that have looked at each of their connections.
    let passed = Atomic<Int>(0)
    private let remainders: Mutex<[UInt8: Remainder]> = Mutex([:])

    init(
        _ targets: [String: (handler: String, facts: HandoverFacts)], to receiver: any TransferReceiver,
        patience: UInt32, spread: UInt32, closing: Set<String>? = [], reason: String = "the gateway was upgraded",
        keepsRelayed: Bool = false, heirs: Set<String> = [], progress: ControlWaker
    ) {
        (self.keepsRelayed, self.heirs, former) = (keepsRelayed, heirs, nil)
        (self.closing, self.reason) = (closing, reason)
        self.targets = targets
        self.receiver = receiver
        self.patience = patience
        self.spread = spread
        self.progress = progress
    }

    /// The same from here on, but that nobody waits: whoever cannot move at once is told to go, within so many ticks.
    init(hurrying former: ConnectionTransfer, within spread: UInt32, reason: String) {
        (keepsRelayed, heirs, targets) = (former.keepsRelayed, former.heirs, former.targets)
        (receiver, progress, self.former) = (former.receiver, former.progress, former)
        (patience, self.spread, closing, self.reason) = (0, spread, nil, reason)
    }

    /// Connections that have moved, before the hurry as well.
    var movedInAll: Int { moved.load(ordering: .relaxed) + (former?.movedInAll ?? 0) }

    /// What connections of a binding come to; nil where they cannot.
    func target(of binding: UnsafeMutablePointer<Binding>) -> HandoverFacts? {
        let route = unsafe binding.pointee.route
        guard let target = targets[route.name], target.handler == route.handler,
            MoveObstacle(from: HandoverFacts(unsafe binding.pointee.generation), to: target.facts) == nil
        else { return nil }
        return target.facts
    }

    /// Whether connections of a route are told at once.
    func closes(_ route: String) -> Bool { closing?.contains(route) ?? true }

    /// A worker has looked at all its connections.
    func note(_ remainder: Remainder, of worker: UInt8, isFirst: Bool) {
        remainders.withLock { $0[worker] = remainder }
        if isFirst { passed.add(1, ordering: .releasing) }
        progress.ring()
    }

    /// What is left, as far as workers have looked.
    var remainder: Remainder { remainders.withLock { $0.values.reduce(Remainder(), +) } }
}
