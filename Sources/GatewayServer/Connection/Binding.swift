import CGatewayABI
import GatewayConfiguration
import HandlerModules
import Synchronization
import WebSocket

/// A route served by an instance of a handler: everything the data path asks about either, in one place.
///
/// Immutable but for its counters, and never freed: other threads may look at it through the shared table at any time,
/// and a few hundred bytes for each reload are little beside the image that stays mapped.
@unsafe struct Binding: ~Copyable {
    /// The handler's callbacks, absent ones nil whatever header it was built with.
    let handler: HandlerCallbacks
    /// GW_HF_*, and `ContractChecker.watched`.
    let flags: UInt32
    /// What `start` gave back.
    let instance: UnsafeMutableRawPointer?
    let instanceID: UInt64
    /// Number of the handler file; connections of other modules are closed to it.
    let module: UInt32
    let generation: Generation
    /// The host table of the generation.
    let host: UnsafePointer<gw_host>
    let route: Route
    let limits: RouteLimits
    /// Callbacks of its connections run on the pool: each has a callback queue.
    let isPooled: Bool
    /// The same with the other kind of threads, for connections that were there before `dispatch` changed; 0 for none.
    private let otherKind = Atomic<UInt>(0)
    /// Messages that come in one frame need nothing but `message` being called.
    let takesWholeMessages: Bool
    /// The longest of those, in bytes.
    let longestWhole: Int
    /// Requests and connections that hold on to it, until their last callback has returned.
    let references = Atomic<Int>(0)
    /// Callbacks that failed: what an automatic rollback goes by.
    let failures = Atomic<Int>(0)
    /// What other threads know of the instance.
    let instanceContext: InstanceContext
    /// For instances that ask for GW_HF_SERIAL.
    let serialLock: SerialLock
    /// Whose fault a crash in a callback is.
    let site: CrashSite

    init(_ instanceContext: InstanceContext, route: Route, isPooled: Bool) {
        let instance = instanceContext.instance
        let generation = instance.generation
        let callbacks = generation.callbacks
        unsafe handler = callbacks
        let flags =
            generation.flags & ~ContractChecker.watched | (instanceContext.isWatched ? ContractChecker.watched : 0)
        unsafe self.flags = flags
        unsafe self.instance = instance.selfPointer
        unsafe instanceID = instance.id
        unsafe module = instanceContext.module
        unsafe self.generation = generation
        unsafe host = generation.host
        unsafe self.route = route
        unsafe limits = route.limits
        // Only of what is not a part of `self` yet: where an autoclosure reads a part, Swift 6.3.1 releases the classes
        // that are still to be set, record and lock, whatever bytes stand there.
        unsafe takesWholeMessages =
            callbacks.message != nil && callbacks.fragment == nil && flags & Self.special == 0 && !isPooled
        unsafe self.isPooled = isPooled
        unsafe longestWhole = min(route.limits.frames.frame, route.limits.frames.message)
        unsafe self.instanceContext = instanceContext
        unsafe serialLock = instanceContext.serialLock
        unsafe site = instance.crashSite
    }

    /// Flags that make more of a callback than a call.
    static let special = UInt32(GW_HF_SERIAL) | ContractChecker.watched

    var isWatched: Bool { unsafe flags & ContractChecker.watched != 0 }

    func has(_ flag: Int) -> Bool { unsafe flags & UInt32(flag) != 0 }

    /// Makes one, for ever. All bindings of an instance share a lock.
    static func make(
        _ instanceContext: InstanceContext, route: Route, isPooled: Bool? = nil
    ) -> UnsafeMutablePointer<Binding> {
        instanceContext.instance.crashSite.patience = route.callbackStall
        instanceContext.instance.crashSite.logLevel = route.logLevel
        let binding = UnsafeMutablePointer<Binding>.allocate(capacity: 1)
        unsafe binding.initialize(to: Binding(instanceContext, route: route, isPooled: isPooled ?? route.isPooled))
        return unsafe binding
    }

    /// Control thread: the other kind, if any connection has needed it.
    var other: UnsafeMutablePointer<Binding>? {
        unsafe UnsafeMutablePointer(bitPattern: otherKind.load(ordering: .relaxed))
    }

    /// Control thread: makes the other kind, once.
    func makeOther() -> UnsafeMutablePointer<Binding> {
        if let other = unsafe other { return unsafe other }
        let made = unsafe Binding.make(instanceContext, route: route, isPooled: !isPooled)
        unsafe otherKind.store(UInt(bitPattern: made), ordering: .relaxed)
        return unsafe made
    }
}

/// The limits of a route in the units the data path counts in: bytes and ticks.
struct RouteLimits: Sendable {
    var frames: FrameReader.Limits
    var body: Int
    var connections: Int
    var sendBuffer: Int
    /// What happens beyond it.
    var slowConsumer: Limits.SlowConsumer
    /// 0 where the configuration says off.
    var pingInterval: UInt32
    var pongTimeout: UInt32
    var idleTimeout: UInt32
    var closeTimeout: UInt32
    var writeTimeout: UInt32
    var replyTimeout: UInt32
    var drainTimeout: UInt32
    /// When its handler is asked to save what it knows, where a ledger is kept.
    var checkpoint: Checkpoint

    enum Checkpoint: Sendable, Equatable {
        case off
        /// After each event.
        case message
        /// Ticks.
        case every(UInt32)
    }

    var closesSlowConsumers: Bool { if case .close = slowConsumer { true } else { false } }
    var pausesReads: Bool { if case .pauseReads = slowConsumer { true } else { false } }
    var dropsOld: Bool { if case .dropOld = slowConsumer { true } else { false } }

    /// Above it `send` answers GW_BACKPRESSURE and the peer is not read from.
    var highWater: Int { sendBuffer >> 1 }
    /// Below it the handler hears `drained`, and reading goes on.
    var lowWater: Int { sendBuffer >> 2 }
}

extension Connection {
    /// A request or connection belongs to a route from here on, and keeps its instance alive.
    mutating func bind(_ next: UnsafeMutablePointer<Binding>) {
        unsafe next.pointee.references.add(1, ordering: .relaxed)
        unsafe binding = next
    }

    /// The connection belongs to no route any more: its last callback has returned.
    mutating func unbind() {
        guard let former = unsafe binding else { return }
        if flags.contains(.counted) {
            flags.remove(.counted)
            unsafe former.pointee.route.connections.subtract(1, ordering: .relaxed)
        }
        unsafe binding = nil
        // Releasing: the instance may be stopped by a thread that sees nothing left.
        unsafe former.pointee.references.subtract(1, ordering: .releasing)
    }
}
