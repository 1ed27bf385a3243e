package import CGatewayABI

/// The callbacks of a handler, copied out of its table once, so that the data path reads nothing of the module's.
///
/// nil where the handler has none, or was built against a header that did not have it yet. Thread tags: gw_handler.h.
@safe package struct HandlerCallbacks: Sendable {
    package typealias Start =
        @convention(c) (
            UnsafePointer<gw_host>?, UnsafePointer<gw_config>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
        ) -> gw_status

    package let start: Start
    package let reconfigure: (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<gw_config>?) -> gw_status)?
    package let stop: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?

    package typealias Answer = @convention(c) (UnsafeMutableRawPointer?, UnsafePointer<gw_request>?) -> gw_status
    package typealias Message =
        @convention(c) (UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, UnsafePointer<gw_message>?) -> Void
    package typealias Payload =
        @convention(c) (UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, gw_bytes) -> Void
    package typealias Signal = @convention(c) (UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?) -> Void

    package let upgrade: Answer?
    package let open:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, UnsafePointer<gw_request>?
            ) -> Void
        )?
    package let message: Message?
    package let fragment: Message?
    package let ping: Payload?
    package let pong: Payload?
    package let drained: Signal?
    package let error:
        (@convention(c) (UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, gw_status, gw_str) -> Void)?
    package let close:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, UnsafePointer<gw_close>?
            ) -> Void
        )?
    package let http: Answer?
    package let event:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, UnsafePointer<gw_event>?
            ) -> Void
        )?
    package let work:
        (@convention(c) (UnsafeMutableRawPointer?, gw_conn, UInt64, UnsafeMutableRawPointer?) -> gw_status)?

    package let saveSelf: (@convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> gw_status)?
    package let restoreSelf: (@convention(c) (UnsafeMutableRawPointer?, UnsafePointer<gw_saved>?) -> gw_status)?
    package let saveConnection:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, gw_conn, UnsafeMutableRawPointer?, OpaquePointer?
            ) -> gw_status
        )?
    package let restoreConnection:
        (
            @convention(c) (
                UnsafeMutableRawPointer?, gw_conn, UnsafePointer<gw_request>?, UnsafePointer<gw_saved>?,
                UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> gw_status
        )?
    package let dropConnection: Signal?
    package let getExtension: (@convention(c) (UnsafePointer<CChar>?) -> UnsafeRawPointer?)?

    /// Takes the callbacks of a table that was completed with zeros; nil without a `start`.
    init?(_ table: gw_handler) {
        guard let start = unsafe table.start else { return nil }
        unsafe self.start = start
        unsafe reconfigure = table.reconfigure
        unsafe stop = table.stop
        unsafe upgrade = table.upgrade
        unsafe open = table.open
        unsafe message = table.message
        unsafe fragment = table.fragment
        unsafe ping = table.ping
        unsafe pong = table.pong
        unsafe drained = table.drained
        unsafe error = table.error
        unsafe close = table.close
        unsafe http = table.http
        unsafe event = table.event
        unsafe work = table.work
        unsafe saveSelf = table.save_self
        unsafe restoreSelf = table.restore_self
        unsafe saveConnection = table.save_conn
        unsafe restoreConnection = table.restore_conn
        unsafe dropConnection = table.drop_conn
        unsafe getExtension = table.get_extension
    }

    /// Of a module that is in another process: what tells whether its connections may move is there, and nothing calls any.
    init(elsewhere facts: ModuleFacts) {
        unsafe start = { _, _, _ in gw_status(GW_E_UNSUPPORTED) }
        unsafe fragment = facts.takesFragments ? { _, _, _, _ in } : nil
        unsafe saveConnection = facts.saves ? { _, _, _, _ in gw_status(GW_E_UNSUPPORTED) } : nil
        unsafe restoreConnection = facts.restores ? { _, _, _, _, _ in gw_status(GW_E_UNSUPPORTED) } : nil
        unsafe (reconfigure, stop, upgrade, open, message) = (nil, nil, nil, nil, nil)
        unsafe (ping, pong, drained, error, close) = (nil, nil, nil, nil, nil)
        unsafe (http, event, work, saveSelf, restoreSelf) = (nil, nil, nil, nil, nil)
        unsafe (dropConnection, getExtension) = (nil, nil)
    }

    /// The names of those that are there, as in gw_handler.h.
    package var names: [String] {
        let all: [(String, Bool)] = unsafe [
            ("start", true), ("reconfigure", reconfigure != nil), ("stop", stop != nil), ("upgrade", upgrade != nil),
            ("open", open != nil), ("message", message != nil), ("fragment", fragment != nil), ("ping", ping != nil),
            ("pong", pong != nil), ("drained", drained != nil), ("error", error != nil), ("close", close != nil),
            ("http", http != nil), ("event", event != nil), ("work", work != nil), ("save_self", saveSelf != nil),
            ("restore_self", restoreSelf != nil), ("save_conn", saveConnection != nil),
            ("restore_conn", restoreConnection != nil), ("drop_conn", dropConnection != nil),
            ("get_extension", getExtension != nil),
        ]
        return all.filter { $0.1 }.map { $0.0 }
    }
}
