public import CGatewayABI
internal import Glibc

/// A module: what the gateway loads. Its one exported function answers with the table made here.
public enum Module {
    /// Makes a handler known to the gateway; the whole body of `gw_handler_entry_v1`. [entry]
    @safe
    public static func export(
        _ handler: any Handler.Type, to host: UnsafePointer<gw_host>?
    ) -> UnsafePointer<gw_handler>? {
        unsafe export(HandlerDescription(handler), to: host)
    }

    /// Makes a handler that is written as closures known to the gateway; the whole body of `gw_handler_entry_v1`.
    @safe
    public static func export<Shared, State>(
        _ handler: Functional<Shared, State>, to host: UnsafePointer<gw_host>?
    ) -> UnsafePointer<gw_handler>? {
        unsafe export(handler.handlerDescription, to: host)
    }

    /// The table and its strings are never freed: the gateway may call them as long as the image is mapped.
    private static func export(
        _ description: HandlerDescription, to host: UnsafePointer<gw_host>?
    ) -> UnsafePointer<gw_handler>? {
        guard let host = unsafe host else { return nil }
        unsafe Instance.register(description, for: host)
        let table = UnsafeMutablePointer<gw_handler>.allocate(capacity: 1)
        unsafe table.initialize(to: gw_handler())
        unsafe describe(description, &table.pointee)
        unsafe addRequired(&table.pointee)
        unsafe addOptional(description.takes, &table.pointee)
        unsafe addHandover(description.handover, &table.pointee)
        return unsafe UnsafePointer(table)
    }

    private static func describe(_ description: HandlerDescription, _ table: inout gw_handler) {
        let manifest = description.manifest
        unsafe table.struct_size = UInt32(MemoryLayout<gw_handler>.size)
        // GW_ABI_VERSION is a macro of a cast, which Swift does not import.
        unsafe table.abi_version = GW_ABI_MAJOR << 16 | GW_ABI_MINOR
        // hold() and release() are of 1.2.
        unsafe table.min_host_abi = 1 << 16 | 2
        unsafe table.flags = manifest.flags(
            keepsNothing: description.keepsNothing,
            keepsSomething: description.handover != nil || description.handler._hasState)
        unsafe table.name = unsafe UnsafePointer(strdup(manifest.name))
        unsafe table.version = unsafe UnsafePointer(strdup(manifest.version))
        unsafe table.sdk = unsafe UnsafePointer(strdup("GatewayHandler 1.0 (Swift)"))
    }

    private static func addRequired(_ table: inout gw_handler) {
        unsafe table.start = { unsafe Instance.start($0, $1, $2) }
        unsafe table.stop = { unsafe Instance.stop($0) }
        unsafe table.upgrade = { owner, request in
            guard let request = unsafe request else { return gw_status(GW_E_INVALID) }
            return unsafe Instance.with(owner) { unsafe $0.handler._onUpgrade(Request(request, $0.host)) }
                ?? gw_status(GW_E_INVALID)
        }
        unsafe table.open = { owner, connection, state, request in
            guard let request = unsafe request else { return }
            unsafe Instance.with(owner) {
                unsafe $0.handler._onOpen(Connection(connection, $0.host), state, Request(request, $0.host))
            }
        }
        unsafe table.message = { owner, connection, state, message in
            guard let message = unsafe message else { return }
            unsafe Instance.with(owner) {
                unsafe $0.handler._onMessage(Connection(connection, $0.host), state, Message(message))
            }
        }
        unsafe table.error = { owner, connection, state, _, what in
            unsafe Instance.with(owner) {
                unsafe $0.handler._onError(Connection(connection, $0.host), state, .gateway(String(what)))
            }
        }
        unsafe table.close = { owner, connection, state, event in
            guard let event = unsafe event else { return }
            unsafe Instance.with(owner) {
                unsafe $0.handler._onClose(Connection(connection, $0.host), state, CloseEvent(event.pointee))
                $0.host.pendingClosures.end(connection)
            }
        }
        unsafe table.drop_conn = { owner, connection, state in
            unsafe Instance.with(owner) { unsafe $0.drop(connection, state) }
        }
        unsafe table.event = { owner, connection, state, event in
            guard let event = unsafe event else { return }
            unsafe Instance.with(owner) { unsafe $0.handle(event.pointee, connection, state) }
        }
        unsafe table.work = { owner, _, token, _ in
            unsafe Instance.with(owner) { $0.work(token) } ?? gw_status(GW_E_INVALID)
        }
    }

    /// Fills in what has a meaning when it is NULL only for handlers that say they take it.
    private static func addOptional(_ takes: OptionalEvents, _ table: inout gw_handler) {
        if takes.contains(.requests) {
            unsafe table.http = { owner, request in
                guard let request = unsafe request else { return gw_status(GW_E_INVALID) }
                return unsafe Instance.with(owner) { unsafe $0.handler._onRequest(Request(request, $0.host)) }
                    ?? gw_status(GW_E_INVALID)
            }
        }
        if takes.contains(.fragments) {
            unsafe table.fragment = { owner, connection, state, fragment in
                guard let fragment = unsafe fragment else { return }
                unsafe Instance.with(owner) {
                    unsafe $0.handler._onFragment(Connection(connection, $0.host), state, Message(fragment))
                }
            }
        }
        if takes.contains(.pings) {
            unsafe table.ping = { owner, connection, state, payload in
                unsafe Instance.with(owner) {
                    unsafe $0.handler._onPing(Connection(connection, $0.host), state, payload.span)
                }
            }
        }
        if takes.contains(.pongs) {
            unsafe table.pong = { owner, connection, state, payload in
                unsafe Instance.with(owner) {
                    unsafe $0.handler._onPong(Connection(connection, $0.host), state, payload.span)
                }
            }
        }
        if takes.contains(.drained) {
            unsafe table.drained = { owner, connection, state in
                unsafe Instance.with(owner) { unsafe $0.handler._onDrained(Connection(connection, $0.host), state) }
            }
        }
    }
}
