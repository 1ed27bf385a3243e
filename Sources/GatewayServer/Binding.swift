import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

/// A route served by an instance of a handler: everything the data path asks about either, in one place.
///
/// Immutable but for its counter. Connections hold its address, which stays good until the generation it belongs
/// to has been retired and its last connection is gone.
@unsafe struct Binding: ~Copyable {
    /// The handler's callbacks, absent ones NULL whatever header it was built with.
    let handler: HandlerCallbacks
    /// GW_HF_*.
    let flags: UInt32
    /// What `start` gave back.
    let instance: UnsafeMutableRawPointer?
    let instanceID: UInt64
    let host: UnsafePointer<gw_host>
    /// Number of the handler file; connections of other modules are closed to it.
    let module: UInt32
    let route: Int
    let limits: RouteLimits
    /// One for each instance that asks for GW_HF_SERIAL; nil for the others.
    let turnstile: Turnstile?
    /// Connections that are being decided upon or open.
    let connections = Atomic<Int>(0)

    init(
        handler: HandlerCallbacks, flags: UInt32, instance: UnsafeMutableRawPointer?, instanceID: UInt64, host: UnsafePointer<gw_host>,
        module: UInt32, route: Int, limits: RouteLimits
    ) {
        unsafe self.handler = handler
        unsafe self.flags = flags
        unsafe self.instance = unsafe instance
        unsafe self.instanceID = instanceID
        unsafe self.host = unsafe host
        unsafe self.module = module
        unsafe self.route = route
        unsafe self.limits = limits
        unsafe turnstile = flags & UInt32(GW_HF_SERIAL) != 0 ? Turnstile() : nil
    }

    func has(_ flag: Int) -> Bool { unsafe flags & UInt32(flag) != 0 }
}

/// The limits of a route in the units the data path counts in: octets and ticks.
struct RouteLimits: Sendable {
    var frames: FrameReader.Limits
    var body: Int
    var connections: Int
    var sendBuffer: Int
    /// 0 where the configuration says off.
    var pingInterval: UInt32
    var pongTimeout: UInt32
    var idleTimeout: UInt32
    var closeTimeout: UInt32
    var replyTimeout: UInt32

    /// Above it `send` answers GW_BACKPRESSURE and the peer is not read from.
    var highWater: Int { sendBuffer / 2 }
    /// Below it the handler hears `drained`, and reading goes on.
    var lowWater: Int { sendBuffer / 4 }
}
