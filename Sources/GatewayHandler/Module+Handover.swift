internal import CGatewayABI
internal import Synchronization

extension Module {
    /// Fills in how state is handed over, for handlers that say how.
    static func addHandover(_ handover: Handover?, _ table: inout gw_handler) {
        guard let handover else { return unsafe addConsent(&table) }
        unsafe table.state_format = handover.format
        unsafe table.state_version = handover.version
        unsafe table.save_self = { owner, sink in
            unsafe Instance.with(owner) { unsafe $0.save(to: sink) } ?? gw_status(GW_E_INVALID)
        }
        unsafe table.restore_self = { owner, saved in
            guard let saved = unsafe saved else { return gw_status(GW_E_INVALID) }
            return unsafe Instance.with(owner) { unsafe $0.restore(saved) } ?? gw_status(GW_E_INVALID)
        }
        unsafe table.save_conn = { owner, connection, state, sink in
            unsafe Instance.with(owner) { unsafe $0.save(connection, state, to: sink) } ?? gw_status(GW_E_INVALID)
        }
        unsafe table.restore_conn = { owner, connection, _, saved, state in
            guard let saved = unsafe saved, let state = unsafe state else { return gw_status(GW_E_INVALID) }
            return unsafe Instance.with(owner) { unsafe $0.restore(connection, saved, &state.pointee) }
                ?? gw_status(GW_E_INVALID)
        }
    }
}

extension Module {
    /// For a handler that keeps nothing: a connection that has timers may not move, since they would end unnoticed.
    private static func addConsent(_ table: inout gw_handler) {
        guard unsafe table.flags & UInt32(GW_HF_STATELESS) != 0 else { return }
        unsafe table.save_conn = { owner, connection, _, _ in
            unsafe Instance.with(owner) {
                gw_status($0.host.pendingClosures.hasTimers(connection) ? GW_E_STATE : GW_OK)
            }
                ?? gw_status(GW_E_INVALID)
        }
    }
}

extension Instance {
    fileprivate func save(to sink: OpaquePointer?) -> gw_status {
        var writer = StateWriter()
        handler._onSave(&writer)
        return unsafe host.write(writer.bytes, to: sink)
    }

    fileprivate func restore(_ saved: UnsafePointer<gw_saved>) -> gw_status {
        guard let handover else { return gw_status(GW_E_UNSUPPORTED) }
        do {
            var reader = try unsafe handover.reader(saved, host)
            try handler._onRestore(&reader)
            return gw_status(GW_OK)
        } catch {
            host.log(0, .error, "starts afresh: \(error)")
            return gw_status(GW_E_FAILED)
        }
    }

    fileprivate func save(
        _ id: gw_conn, _ state: UnsafeMutableRawPointer?, to sink: OpaquePointer?
    ) -> gw_status {
        var writer = StateWriter()
        // What was posted belongs to what is saved; it would have come in a moment.
        for post in host.pendingClosures.takePosts(id) {
            unsafe handler._onPendingClosure(Connection(id, host), state, post)
        }
        do {
            try unsafe handler._onSave(Connection(id, host), state, &writer)
        } catch {
            return refuse(id, error)
        }
        return unsafe host.write(writer.bytes, to: sink)
    }

    fileprivate func restore(
        _ id: gw_conn, _ saved: UnsafePointer<gw_saved>, _ state: inout UnsafeMutableRawPointer?
    ) -> gw_status {
        guard let handover else { return gw_status(GW_E_UNSUPPORTED) }
        do {
            var reader = try unsafe handover.reader(saved, host)
            host.pendingClosures.begin(id)
            unsafe state = try handler._onRestore(Connection(id, host), &reader)
            return gw_status(GW_OK)
        } catch {
            return refuse(id, error)
        }
    }

    /// The connection stays where it is. The first time is news; ten thousand times in a reload would be noise.
    private func refuse(_ id: gw_conn, _ error: any Error) -> gw_status {
        let isFirst = !hasRefused.exchange(true, ordering: .relaxed)
        host.log(id, isFirst ? .warning : .debug, "not handed over: \(error)")
        return gw_status(GW_E_FAILED)
    }
}

extension Host {
    fileprivate func write(_ bytes: [UInt8], to sink: OpaquePointer?) -> gw_status {
        guard let write = unsafe table.pointee.sink_write else { return gw_status(GW_E_UNSUPPORTED) }
        return unsafe bytes.withUnsafeBytes { unsafe write(table, sink, $0.baseAddress, $0.count) }
    }
}
