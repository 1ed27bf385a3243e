import Bytes
import CGatewayABI
import GatewayIO
import Glibc
import Synchronization
import WebSocket

/// Host functions that end, hold and describe connections.
@unsafe enum ConnectionFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.close = { host, connection, code, reason, count in
            unsafe HostContext.with(host, else: Status.invalid) { unsafe $0.close(connection, code, reason, count) }
        }
        unsafe table.abort = { host, connection in
            unsafe HostContext.with(host, else: Status.invalid) { $0.abort(connection) }
        }
        unsafe table.set_reading = { host, connection, on in
            unsafe HostContext.with(host, else: Status.invalid) { $0.setReading(connection, on != 0) }
        }
        unsafe table.conn_info = { host, connection, out in
            guard let out = unsafe out else { return Status.invalid }
            return unsafe HostContext.with(host, else: Status.invalid) { unsafe $0.info(connection, out) }
        }
        unsafe table.conn_state = { _, connection in unsafe ConnectionFunctions.state(of: connection) }
        unsafe table.conn_set_state = { _, connection, state in
            unsafe ConnectionFunctions.setState(of: connection, state)
        }
        unsafe table.conn_request = { _, connection in unsafe ConnectionFunctions.request(of: connection) }
        unsafe table.conns = { host, instance, out, capacity in
            unsafe HostContext.with(host, else: 0) { unsafe $0.connections(of: instance, out, capacity) }
        }
    }

    static func state(of connection: gw_conn) -> UnsafeMutableRawPointer? {
        if let state = unsafe HostFunctions.onCallbackQueue({ unsafe $0.state(of: connection) }) { return unsafe state }
        if unsafe HostFunctions.onWorker({ $0.running.isRestoring }) ?? false { return nil }
        return unsafe inCallback(of: connection) { unsafe $0.pointee.state } ?? nil
    }

    static func setState(of connection: gw_conn, _ state: UnsafeMutableRawPointer?) -> gw_status {
        if let status = unsafe HostFunctions.onCallbackQueue({ unsafe $0.setState(of: connection, state) }) {
            return status
        }
        // In restore_conn it is the state that the callback gives back that counts.
        if unsafe HostFunctions.onWorker({ $0.running.isRestoring && $0.running.connection == connection }) ?? false {
            return Status.state
        }
        return unsafe inCallback(of: connection) { peer in
            unsafe peer.pointee.state = unsafe state
            return Status.ok
        } ?? Status.thread
    }

    static func request(of connection: gw_conn) -> UnsafePointer<gw_request>? {
        if let request = unsafe HostFunctions.onCallbackQueue({ unsafe $0.request(of: connection) }) {
            return unsafe request
        }
        return unsafe inCallback(of: connection) { peer in
            guard let exchange = peer.pointee.exchange, unsafe exchange.binding.pointee.has(GW_HF_KEEP_REQUEST) else {
                return nil
            }
            return unsafe exchange.record.request
        } ?? nil
    }

    /// Whether this thread runs a callback of the connection.
    static func isCurrent(_ connection: gw_conn) -> Bool {
        if connection == 0 { return false }
        return unsafe HostFunctions.onWorker { $0.running.connection == connection } ?? HostFunctions.onCallbackQueue {
            $0.names(connection)
        }
            ?? false
    }

    /// The connection whose callback is running on this thread; nil anywhere else ([conn] is checked, never UB).
    private static func inCallback<Result>(of connection: gw_conn, _ body: (ConnectionPointer) -> Result) -> Result? {
        let result: Result?? = unsafe HostFunctions.onWorker { worker in
            let id = ConnectionID(connection)
            guard worker.running.connection == connection, connection != 0,
                let peer = worker.table.find(slot: id.slot, serial: id.serial)
            else { return nil }
            return body(peer)
        }
        return result ?? nil
    }
}

extension HostContext {
    func close(
        _ connection: gw_conn, _ code: UInt16, _ reason: UnsafePointer<CChar>?, _ count: Int
    ) -> gw_status {
        guard
            let reason = unsafe reason.map({ unsafe Array(UnsafeRawBufferPointer(start: $0, count: max(0, count))) })
                ?? (count == 0 ? [] : nil)
        else { return Status.invalid }
        let isEmpty = code == 0 && reason.isEmpty
        guard isEmpty || CloseCode.isAllowedOnWire(code), reason.count <= ClosePayload.maximumReason,
            unsafe reason.withUnsafeBytes({ unsafe UTF8Checker.isValid($0) })
        else { return Status.invalid }
        let id = ConnectionID(connection)
        guard let found = find(id) else { return passOn(connection, .close(code: code), reason) }
        return onOwner(of: found) { worker, peer in
            worker.closer.beginClosing(peer, code: code, reason: reason, by: UInt16(GW_BY_HANDLER), on: worker)
            return Status.ok
        } else: {
            guard found.port.close(id, .init(code: code, reason: reason, by: UInt16(GW_BY_HANDLER))) else {
                return Status.closed
            }
            unsafe HostFunctions.onCallbackQueue { $0.cutOff(connection) }
            return Status.ok
        }
    }

    /// Works on a connection that is closing as well, which the shared table does not know any more.
    func abort(_ connection: gw_conn) -> gw_status {
        if isRetired.load(ordering: .acquiring) { return Status.retired }
        let id = ConnectionID(connection)
        guard id.worker < server.ports.count else { return Status.closed }
        let port = server.ports[id.worker]
        guard let owner = port.sharedTable.module(of: id) else { return passOn(connection, .abort) }
        return onOwner(port) { worker in
            worker.abort(id, module: module)
        } else: {
            guard owner == module,
                port.abort(id, .init(code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_HANDLER)))
            else { return Status.closed }
            unsafe HostFunctions.onCallbackQueue { $0.cutOff(connection) }
            return Status.ok
        }
    }

    func setReading(_ connection: gw_conn, _ on: Bool) -> gw_status {
        let id = ConnectionID(connection)
        guard let found = find(id) else { return passOn(connection, .setReading(on)) }
        return onOwner(of: found) { worker, peer in
            peer.pointee.rareState?.callbacks?.setPaused(!on)
            worker.setReading(peer, on)
            return Status.ok
        } else: {
            // In its own callback it takes effect behind that, whenever the worker hears of it.
            let isTold = unsafe HostFunctions.onCallbackQueue { $0.setPaused(!on, connection) } ?? false
            found.port.post(.setReading(id, on, tellsPool: !isTold))
            return Status.ok
        }
    }

    /// Fills what fits the caller's struct_size.
    func info(_ connection: gw_conn, _ out: UnsafeMutablePointer<gw_conn_info>) -> gw_status {
        let isComplete = unsafe accepts(
            size: out.pointee.struct_size, atLeast: GW_CONN_INFO_MIN_SIZE, of: "conn_info() got a gw_conn_info")
        guard isComplete else { return Status.invalid }
        guard let found = find(ConnectionID(connection)) else { return refusal }
        let sharedTable = found.port.sharedTable
        let now = UInt64(server.tick(at: Clock.monotonicNanoseconds()))
        func age(_ tick: UInt32) -> UInt64 {
            now > UInt64(tick) ? (now - UInt64(tick)) * TimerWheel.tickMilliseconds : 0
        }
        var info = gw_conn_info()
        let isStreaming = sharedTable.isStreaming(found.id) && found.port.streams.isOpen(found.id)
        info.flags = (sharedTable[found.slot].readingOff.load(ordering: .relaxed) ? 1 : 0) | (isStreaming ? 2 : 0)
        // The shared table knows the queue as of the last turn; the owner's thread knows it as it is.
        onOwner(of: found) { worker, peer in
            worker.noteQueue(peer)
        } else: {
        }
        info.queued_bytes = UInt64(sharedTable[found.slot].waiting.load(ordering: .relaxed))
        info.high_water = UInt64(found.limits.highWater)
        info.age_ms = age(sharedTable[found.slot].openedAt.load(ordering: .relaxed))
        info.last_in_ms = age(sharedTable[found.slot].lastIn.load(ordering: .relaxed))
        info.last_out_ms = age(sharedTable[found.slot].lastOut.load(ordering: .relaxed))
        info.rtt_us = sharedTable[found.slot].roundTripMicroseconds.load(ordering: .relaxed)
        info.topics = sharedTable[found.slot].topics.load(ordering: .relaxed)
        let size = unsafe min(Int(out.pointee.struct_size), MemoryLayout<gw_conn_info>.size)
        info.struct_size = UInt32(size)
        unsafe UnsafeMutableRawPointer(out).copyMemory(from: &info, byteCount: size)
        return Status.ok
    }

    func connections(of instance: gw_instance, _ out: UnsafeMutablePointer<gw_conn>?, _ capacity: Int) -> Int {
        var count = 0
        for port in server.ports {
            port.sharedTable.connections(of: instance, worker: port.index) { id in
                if count < capacity, let out = unsafe out { unsafe out[count] = id.number }
                count += 1
            }
        }
        return count
    }
}

extension Worker {
    /// Aborts for a handler that is on the owner's thread.
    func abort(_ id: ConnectionID, module: UInt32) -> gw_status {
        guard let peer = table.find(slot: id.slot, serial: id.serial), peer.pointee.phase != .gone,
            let binding = unsafe peer.pointee.binding, unsafe binding.pointee.module == module,
            peer.pointee.flags.contains(.opened)
        else { return Status.closed }
        closer.abort(peer, on: self)
        return Status.ok
    }
}
