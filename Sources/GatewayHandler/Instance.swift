internal import CGatewayABI
internal import Synchronization

/// One handler at work for one route: what the C callbacks get as `self`.
final class Instance: Sendable {
    let handler: any Handler
    let host: Host
    let handover: Handover?
    /// A connection was refused in a hand-over, and the log says why.
    let hasRefused = Atomic(false)

    private init(_ handler: any Handler, _ handover: Handover?, _ host: Host) {
        self.handler = handler
        self.handover = handover
        self.host = host
    }

    /// Which handler an entry call has exported, by the address of its host table: `start` is told nothing else.
    ///
    /// A loaded image has one entry; a test runner has many.
    private static let exported = Mutex<[UInt: HandlerDescription]>([:])

    static func register(_ description: HandlerDescription, for host: UnsafePointer<gw_host>) {
        let key = UInt(bitPattern: host)
        exported.withLock { $0[key] = description }
    }

    /// Starts an instance and hands its ownership to the gateway, until `stop`.
    static func start(
        _ host: UnsafePointer<gw_host>?, _ config: UnsafePointer<gw_config>?,
        _ owner: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> gw_status {
        guard let table = unsafe host, let config = unsafe config, let owner = unsafe owner else {
            return gw_status(GW_E_INVALID)
        }
        let host = unsafe Host(table, instance: config.pointee.instance)
        let key = UInt(bitPattern: table)
        guard let description = exported.withLock({ $0[key] }) else {
            host.fail("start was called with another host table than the entry")
            return gw_status(GW_E_INVALID)
        }
        let context = unsafe StartContext(config, host, description.events)
        do {
            let instance = Instance(try description.handler.init(context), description.handover, host)
            TypePrewarming.prewarm(
                description.handler._types + [
                    Connection.self, CloseCode.self, StateError.self, SettingError.self, ClosingError.self,
                ])
            unsafe owner.pointee = unsafe Unmanaged.passRetained(instance).toOpaque()
            return gw_status(GW_OK)
        } catch {
            host.fail("\(error)")
            return gw_status(GW_E_FAILED)
        }
    }

    /// Ends an instance; the gateway has let go of it.
    static func stop(_ owner: UnsafeMutableRawPointer?) {
        guard let owner = unsafe owner else { return }
        let instance = unsafe Unmanaged<Instance>.fromOpaque(owner).takeRetainedValue()
        instance.host.outlivingTasks.stop()
        instance.handler.stop()
        instance.host.pendingClosures.stop()
    }

    /// Lends the instance behind `self` without counting references: the gateway holds it during every callback.
    @inline(__always)
    static func with<Result>(_ owner: UnsafeMutableRawPointer?, _ body: (Instance) -> Result) -> Result? {
        guard let owner = unsafe owner else { return nil }
        return unsafe Unmanaged<Instance>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
    }
}
