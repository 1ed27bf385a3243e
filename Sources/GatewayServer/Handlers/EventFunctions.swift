import CGatewayABI
import GatewayIO
import HandlerModules
import Synchronization

/// Host functions that have a handler hear something later.
@unsafe enum EventFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.post = { host, instance, connection, token, start, count in
            unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.post(instance, connection, token, start, count)
            }
        }
        unsafe table.timer_start = { host, instance, connection, token, delay, interval in
            unsafe HostContext.with(host, else: 0) { $0.startTimer(instance, connection, token, delay, interval) }
        }
        unsafe table.timer_cancel = { host, timer in
            unsafe HostContext.with(host, else: Status.invalid) { $0.cancelTimer(timer) }
        }
        unsafe table.offload = { host, instance, connection, token, pointer in
            unsafe HostContext.with(host, else: Status.invalid) {
                $0.offload(instance, connection, token, UInt(bitPattern: pointer))
            }
        }
    }
}

extension HostContext {
    /// Bytes of posts that may wait for one worker; more answer GW_E_LIMIT.
    private static let mostPosted = 64 << 20
    /// A timer's number while a module is only being tried.
    private static let probeTimer: gw_timer = 1

    /// Whose worker takes an event: the connection's, or that of [home].
    private enum Place {
        case port(WorkerPort)
        case refused(gw_status)
    }

    private func place(of connection: gw_conn, _ instanceContext: InstanceContext) -> Place {
        if connection == 0 { return .port(server.ports[instanceContext.home]) }
        guard let found = find(ConnectionID(connection)) else { return .refused(refusal) }
        return .port(found.port)
    }

    // MARK: Posts

    func post(
        _ instance: gw_instance, _ connection: gw_conn, _ token: UInt64, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        guard let bytes = unsafe Self.bytes(start, count) else { return Status.invalid }
        if server.isProbe { return Status.ok }
        let instanceContext: InstanceContext
        switch find(instance: instance) {
        case .found(let found): instanceContext = found
        case .refused(let status): return status
        }
        if count > Self.mostPosted { return Status.limit }
        let port: WorkerPort
        switch place(of: connection, instanceContext) {
        case .port(let found): port = found
        case .refused: return passOn(connection, .post(token: token), unsafe Array(bytes))
        }
        let event = HandlerEvent(
            instanceContext: instanceContext, connection: connection, token: token, kind: .post(unsafe Array(bytes)))
        if port.postedBytes.add(event.weight, ordering: .relaxed).newValue > Self.mostPosted {
            port.postedBytes.subtract(event.weight, ordering: .relaxed)
            return Status.limit
        }
        if connection == 0 { instanceContext.pending.add(1, ordering: .relaxed) }
        onOwner(port) { worker in
            worker.events.append(event)
        } else: {
            port.post(.event(event))
        }
        return Status.ok
    }

    // MARK: Timers

    func startTimer(
        _ instance: gw_instance, _ connection: gw_conn, _ token: UInt64, _ delay: UInt32, _ interval: UInt32
    ) -> gw_timer {
        if server.isProbe { return Self.probeTimer }
        guard case .found(let instanceContext) = find(instance: instance),
            case .port(let port) = place(of: connection, instanceContext)
        else { return 0 }
        // The timers of [home] end at the switch.
        if connection == 0, instanceContext.isRetiring.load(ordering: .acquiring) { return 0 }
        let timer = TimerRegistry.Timer(
            instanceContext: instanceContext, connection: connection, token: token,
            interval: UInt64(interval) * 1_000_000)
        // Not the time of the turn, which may have begun long ago: a timer is never early.
        let now = unsafe HostFunctions.onWorker { $0.clock() } ?? Clock.monotonicNanoseconds()
        let due = now + UInt64(delay) * 1_000_000
        guard let (number, isNext) = port.timers.add(timer, due: due) else { return 0 }
        // The worker may sleep longer than that; on its own thread it looks before it sleeps.
        if isNext {
            onOwner(port) { _ in
            } else: {
                port.waker.ring()
            }
        }
        // The connection may have ended in between, and then nothing else would end the timer.
        if connection != 0, port.sharedTable.find(ConnectionID(connection)) == nil { port.timers.end(timer.owner) }
        return number
    }

    func cancelTimer(_ timer: gw_timer) -> gw_status {
        if isRetired.load(ordering: .acquiring) { return Status.retired }
        if server.isProbe { return Status.ok }
        let worker = TimerRegistry.worker(of: timer)
        guard worker < server.ports.count, server.ports[worker].timers.cancel(timer, module: module) else {
            return Status.notFound
        }
        return Status.ok
    }

    // MARK: Work

    func offload(_ instance: gw_instance, _ connection: gw_conn, _ token: UInt64, _ pointer: UInt) -> gw_status {
        // Nothing would ever hear of its end.
        if server.isProbe { return Status.limit }
        switch find(instance: instance) {
        case .refused(let status): return status
        case .found(let instanceContext):
            if connection == 0 {
                return submit(instanceContext, 0, token, pointer, to: server.ports[instanceContext.home])
            }
        }
        let id = ConnectionID(connection)
        guard let found = find(id) else { return refusal }
        // From here on the connection stays with its instance, which is the one to do the work.
        let sharedTable = found.port.sharedTable
        sharedTable[found.slot].jobs.add(1, ordering: .sequentiallyConsistent)
        let current = sharedTable.instance(found.slot)
        guard case .found(let instanceContext) = server.instances.find(current, module: module) else {
            sharedTable[found.slot].jobs.subtract(1, ordering: .relaxed)
            return Status.closed
        }
        found.port.changes.note(connection)
        let status = submit(instanceContext, connection, token, pointer, to: found.port)
        if status < 0 { sharedTable[found.slot].jobs.subtract(1, ordering: .relaxed) }
        return status
    }

    private func submit(
        _ instanceContext: InstanceContext, _ connection: gw_conn, _ token: UInt64, _ pointer: UInt, to port: WorkerPort
    ) -> gw_status {
        guard unsafe instanceContext.instance.generation.callbacks.work != nil else { return Status.unsupported }
        guard instanceContext.beginJob() else { return Status.retired }
        instanceContext.pending.add(1, ordering: .relaxed)
        server.jobs.outstanding.add(1, ordering: .relaxed)
        let job = Job(
            instanceContext: instanceContext, connection: connection, token: token, pointer: pointer, port: port)
        if server.jobs.submit(job) { return Status.ok }
        server.jobs.outstanding.subtract(1, ordering: .relaxed)
        instanceContext.pending.subtract(1, ordering: .relaxed)
        instanceContext.jobEnded()
        return Status.limit
    }
}
