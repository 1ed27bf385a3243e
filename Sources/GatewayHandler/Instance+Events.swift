internal import CGatewayABI

extension Instance {
    /// Something that was asked for earlier, or news of a reload or of a gap. [conn] or [home]
    func handle(_ event: gw_event, _ id: gw_conn, _ state: UnsafeMutableRawPointer?) {
        switch unsafe Int(event.kind) {
        case GW_EV_RELOAD_PENDING: handler._onReloadPending()
        case GW_EV_DRAINING:
            host.pendingClosures.endTimersOfHandler()
            host.outlivingTasks.drain()
            handler._onDraining()
        case GW_EV_GAP: unsafe handler._onGap(String(nonEmpty: event.data))
        case GW_EV_POST where unsafe event.token == PendingClosures.wakeToken: unsafe handler._onWake(state)
        case GW_EV_TIMER, GW_EV_POST:
            // A token that is not there was cancelled, or is of another generation.
            if let closure = unsafe host.pendingClosures.take(event.token, for: id) { unsafe run(closure, id, state) }
        case GW_EV_WORK_DONE:
            if let job = unsafe host.pendingClosures.removeJob(event.token, for: id) {
                unsafe run(job.closure, id, state)
            }
        default: break
        }
    }

    /// What belongs to no connection has none to close when it throws.
    private func run(_ closure: _PendingClosure, _ id: gw_conn, _ state: UnsafeMutableRawPointer?) {
        if id != 0 { return unsafe handler._onPendingClosure(Connection(id, host), state, closure) }
        var nothing: Void = ()
        do {
            try unsafe withUnsafeMutablePointer(to: &nothing) {
                try unsafe closure.body(Connection(0, host), StatePointer($0))
            }
        } catch {
            host.log(0, .error, "\(closure.name) threw: \(error)")
        }
    }

    /// Does a piece of work. [pool]
    func work(_ token: UInt64) -> gw_status {
        // Asked for by another generation, of a connection that has moved here meanwhile.
        guard let job = host.pendingClosures.job(token) else { return gw_status(GW_E_NOTFOUND) }
        job.run()
        return gw_status(GW_OK)
    }

    /// The connection has moved to another generation.
    func drop(_ id: gw_conn, _ state: UnsafeMutableRawPointer?) {
        let (posts, timers) = host.pendingClosures.move(id)
        for post in posts { unsafe handler._onPendingClosure(Connection(id, host), state, post) }
        for timer in timers { unsafe _ = host.table.pointee.timer_cancel?(host.table, timer) }
        unsafe handler._onDrop(state)
    }
}
