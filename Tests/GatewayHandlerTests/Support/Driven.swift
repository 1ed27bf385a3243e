import CGatewayABI
import GatewayHandler
import Synchronization

/// A handler driven through its table as the gateway would drive it.
final class Driven {
    let host: MockHost
    let table: gw_handler
    let started: gw_status
    private let instance: UnsafeMutableRawPointer?
    /// The turn in which messages come in; nil for one each.
    var turn: UInt64?
    private var lastTurn: UInt64 = 1_999_999_999

    convenience init(
        _ handler: any Handler.Type, host: MockHost = MockHost(), settings: KeyValuePairs<String, String> = [:],
        origin: String = "gateway.conf:42"
    ) {
        self.init(Module.export(handler, to: host.table)!.pointee, host, settings, origin: origin)
    }

    convenience init<Shared, State>(_ handler: Functional<Shared, State>, host: MockHost = MockHost()) {
        self.init(Module.export(handler, to: host.table)!.pointee, host)
    }

    init(
        _ table: gw_handler, _ host: MockHost, _ settings: KeyValuePairs<String, String> = [:],
        origin: String = "gateway.conf:42"
    ) {
        self.table = table
        self.host = host
        let arena = Arena()
        var config = arena.config(origin: origin, settings: settings)
        var instance: UnsafeMutableRawPointer?
        started = table.start!(host.table, &config, &instance)
        self.instance = instance
    }

    deinit {
        if let instance { table.stop!(instance) }
    }

    /// What the gateway learns in the end: a status other than that of the reply is ignored after a reply.
    @discardableResult
    func upgrade(subprotocols: [String] = []) -> gw_status {
        let arena = Arena()
        var request = arena.request(subprotocols: subprotocols)
        return table.upgrade!(instance, &request)
    }

    /// Opens a connection with the state the last upgrade left.
    func open(_ connection: UInt64, _ state: UnsafeMutableRawPointer? = nil) {
        let arena = Arena()
        var request = arena.request()
        table.open!(instance, connection, state, &request)
    }

    /// An upgrade and the open after it; the state pointer.
    @discardableResult
    func connect(_ connection: UInt64) -> UnsafeMutableRawPointer? {
        upgrade()
        open(connection, host.connectionState)
        // Which may have set another one.
        return host.connectionState
    }

    func text(_ connection: UInt64, _ text: String) { self.text(connection, nil, text) }

    func binary(_ connection: UInt64, _ bytes: [UInt8]) { binary(connection, nil, bytes) }

    func binary(_ connection: UInt64, _ bytes: [UInt8], flags: Int) {
        deliver(connection, nil, bytes, GW_BINARY, flags: flags)
    }

    func text(_ connection: UInt64, _ state: UnsafeMutableRawPointer?, _ text: String) {
        deliver(connection, state, Array(text.utf8), GW_TEXT)
    }

    func binary(_ connection: UInt64, _ state: UnsafeMutableRawPointer?, _ bytes: [UInt8]) {
        deliver(connection, state, bytes, GW_BINARY)
    }

    private func deliver(
        _ connection: UInt64, _ state: UnsafeMutableRawPointer?, _ bytes: [UInt8], _ kind: Int,
        flags: Int = GW_FIRST | GW_FIN
    ) {
        let arena = Arena()
        var message = arena.message(bytes, kind: kind, flags: flags)
        lastTurn += 1
        message.received_ns = turn ?? lastTurn
        table.message!(instance, connection, state, &message)
    }

    func fragment(_ connection: UInt64, _ text: String, flags: Int) {
        let arena = Arena()
        var message = arena.message(Array(text.utf8), kind: GW_TEXT, flags: flags)
        table.fragment!(instance, connection, nil, &message)
    }

    func ping(_ connection: UInt64, _ payload: [UInt8]) {
        let arena = Arena()
        table.ping!(instance, connection, nil, arena.bytes(payload))
    }

    func pong(_ connection: UInt64, _ payload: [UInt8]) {
        let arena = Arena()
        table.pong!(instance, connection, nil, arena.bytes(payload))
    }

    func drained(_ connection: UInt64) { table.drained!(instance, connection, nil) }

    func error(_ connection: UInt64, _ state: UnsafeMutableRawPointer?, _ text: String) {
        let arena = Arena()
        table.error!(instance, connection, state, -4, arena.text(text))
    }

    func close(_ connection: UInt64, _ state: UnsafeMutableRawPointer? = nil, code: UInt16 = 1000, reason: String = "")
    {
        let arena = Arena()
        var event = gw_close()
        event.struct_size = UInt32(MemoryLayout<gw_close>.size)
        (event.code, event.by, event.reason) = (code, UInt16(GW_BY_PEER), arena.text(reason))
        (event.msgs_in, event.msgs_out, event.bytes_in, event.bytes_out, event.os_error) = (1, 2, 3, 4, 104)
        table.close!(instance, connection, state, &event)
    }

    func drop(_ connection: UInt64, _ state: UnsafeMutableRawPointer?) {
        table.drop_conn!(instance, connection, state)
    }

    func request(method: String = "GET", body: [UInt8] = []) -> gw_status {
        let arena = Arena()
        var request = arena.request(method: method, body: body)
        return table.http!(instance, &request)
    }

    /// Runs `body` with the arena and the instance, for the cases the calls above do not cover.
    func raw<Result>(_ body: (Arena, UnsafeMutableRawPointer?) -> Result) -> Result { body(Arena(), instance) }

    // MARK: Later

    /// Delivers what the handler has asked for, in its order, as the gateway does; work is done first.
    ///
    /// - Parameter ended: the connection has ended meanwhile, which only work survives.
    func deliver(_ state: UnsafeMutableRawPointer? = nil, ended: Bool = false) {
        let owed = host.state.withLock { state in
            defer { state.owed = state.owed.filter { $0.kind == .timer && $0.every > 0 } }
            return state.owed
        }
        for one in owed { deliver(one, state, ended: ended) }
    }

    func deliver(_ owed: Owed, _ state: UnsafeMutableRawPointer? = nil, ended: Bool = false) {
        var event = gw_event()
        event.struct_size = UInt32(MemoryLayout<gw_event>.size)
        event.token = owed.token
        switch owed.kind {
        case .post: event.kind = UInt32(GW_EV_POST)
        case .timer: event.kind = UInt32(GW_EV_TIMER)
        case .work:
            event.kind = UInt32(GW_EV_WORK_DONE)
            event.status = table.work!(instance, owed.connection, owed.token, nil)
        }
        if ended && owed.kind != .work { return }
        table.event!(instance, ended ? 0 : owed.connection, state, &event)
    }

    // MARK: Reloading

    func event(_ kind: Int, data: String = "") {
        let arena = Arena()
        var event = gw_event()
        event.struct_size = UInt32(MemoryLayout<gw_event>.size)
        event.kind = UInt32(kind)
        event.data = arena.bytes(Array(data.utf8))
        table.event?(instance, 0, nil, &event)
    }

    /// What the handler itself saves; nil when it refuses.
    func save() -> [UInt8]? { collect { table.save_self!(instance, $0) } }

    func save(_ connection: UInt64, _ state: UnsafeMutableRawPointer?) -> [UInt8]? {
        collect { table.save_conn!(instance, connection, state, $0) }
    }

    private func collect(_ save: (OpaquePointer?) -> gw_status) -> [UInt8]? {
        host.set { $0.saved = [] }
        return save(OpaquePointer(bitPattern: 8)) >= 0 ? host.saved : nil
    }

    /// Offers what a module with this one's format and version, or another, has saved.
    func restore(
        _ bytes: [UInt8], format: UInt64? = nil, version: UInt32? = nil, flags: UInt32 = 0
    ) -> gw_status {
        let arena = Arena()
        var saved = arena.saved(bytes, format ?? table.state_format, version ?? table.state_version, flags: flags)
        return table.restore_self!(instance, &saved)
    }

    func restore(
        _ connection: UInt64, _ bytes: [UInt8], format: UInt64? = nil, version: UInt32? = nil, flags: UInt32 = 0,
        size: Int? = nil
    ) -> (status: gw_status, state: UnsafeMutableRawPointer?) {
        let arena = Arena()
        var saved = arena.saved(bytes, format ?? table.state_format, version ?? table.state_version, flags: flags)
        if let size { saved.struct_size = UInt32(size) }
        var state: UnsafeMutableRawPointer?
        return (table.restore_conn!(instance, connection, nil, &saved, &state), state)
    }

    /// Everything before the switch, as the gateway does it.
    func handOver(to next: Driven) -> gw_status {
        event(GW_EV_RELOAD_PENDING)
        guard let bytes = save() else { return gw_status(GW_E_FAILED) }
        return next.restore(bytes, format: table.state_format, version: table.state_version)
    }

    /// Moves a connection; its state with the next generation.
    func move(_ connection: UInt64, _ state: UnsafeMutableRawPointer?, to next: Driven) -> UnsafeMutableRawPointer? {
        guard let bytes = save(connection, state) else { return nil }
        let moved = next.restore(connection, bytes, format: table.state_format, version: table.state_version)
        if moved.status >= 0 { drop(connection, state) }
        return moved.state
    }
}
