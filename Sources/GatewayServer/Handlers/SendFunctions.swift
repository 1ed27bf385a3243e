import Bytes
import CGatewayABI
import GatewayConfiguration
import Glibc
import Synchronization
import WebSocket

/// Host functions that send to one connection.
@unsafe enum SendFunctions {
    static func fill(_ table: inout gw_host) {
        unsafe table.send = { host, connection, kind, flags, start, count in
            guard HostContext.areNamed(flags) else { return Status.invalid }
            if let host = unsafe host,
                unsafe HostFunctions.onWorker({ unsafe $0.echo(host, connection, kind, start, count) }) == true
            {
                return Status.ok
            }
            return unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.send(connection, kind, flags, start, count)
            }
        }
        unsafe table.send_buf = { host, connection, kind, flags, buffer in
            guard let shared = unsafe BufferFunctions.shared(buffer) else { return Status.invalid }
            guard HostContext.areNamed(flags) else { return unsafe SendFunctions.refuse(shared) }
            // A reference is taken over always.
            if unsafe host == nil { unsafe SharedBuffer.release(shared) }
            return unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.send(connection, kind, flags, shared: shared)
            }
        }
        unsafe table.send_fragment = { host, connection, kind, flags, start, count in
            unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.sendFragment(connection, kind, flags, start, count)
            }
        }
        unsafe table.ping = { host, connection, start, count in
            unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.sendControl(connection, .ping, start, count)
            }
        }
        unsafe table.pong = { host, connection, start, count in
            unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.sendControl(connection, .pong, start, count)
            }
        }
    }

    /// A buffer that is not sent: its reference is taken over all the same.
    static func refuse(_ shared: UnsafeMutablePointer<SharedBuffer>) -> gw_status {
        unsafe SharedBuffer.release(shared)
        return Status.invalid
    }
}

extension HostContext {
    /// The first byte of a frame.
    private static func head(_ opcode: Opcode, isFinal: Bool) -> UInt8 { opcode.rawValue | (isFinal ? 0x80 : 0) }

    /// That of a whole message.
    private static func head(_ opcode: Opcode, _ flags: UInt32) -> UInt8 {
        head(opcode, isFinal: true) | (isPlain(flags) ? WorkerMessage.plain : 0)
    }

    /// Whether a handler wants a message not to be compressed.
    @inline(__always)
    private static func isPlain(_ flags: UInt32) -> Bool { flags & UInt32(GW_NO_COMPRESS) != 0 }

    static func dataOpcode(_ kind: UInt32) -> Opcode? {
        switch Int(kind) {
        case GW_TEXT: .text
        case GW_BINARY: .binary
        default: nil
        }
    }

    /// Bytes that a handler lends; nil when it lends none and says there are some.
    static func bytes(_ start: UnsafeRawPointer?, _ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, unsafe start != nil || count == 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: start, count: count)
    }

    // MARK: Whole messages

    @inline(__always)
    func send(
        _ connection: gw_conn, _ kind: UInt32, _ flags: UInt32, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        guard let opcode = Self.dataOpcode(kind), let payload = unsafe Self.bytes(start, count) else {
            return Status.invalid
        }
        let answer = unsafe HostFunctions.onWorker { worker in
            unsafe worker.sendMessage(connection, module, opcode, payload, isPlain: Self.isPlain(flags))
        }
        if let answer, let answer { return answer }
        return unsafe sendFromElsewhere(ConnectionID(connection), opcode, flags, payload)
    }

    private func sendFromElsewhere(
        _ id: ConnectionID, _ opcode: Opcode, _ flags: UInt32, _ payload: UnsafeRawBufferPointer
    ) -> gw_status {
        guard let found = find(id) else {
            return unsafe passOn(id.number, opcode, head: Self.head(opcode, flags), payload)
        }
        if found.isStreaming { return Status.state }
        if opcode == .text, found.checksText, unsafe !UTF8Checker.isValid(payload) { return Status.invalid }
        return unsafe post(found, Self.head(opcode, flags), payload)
    }

    /// Sends shared bytes; their reference is taken over in any case.
    func send(
        _ connection: gw_conn, _ kind: UInt32, _ flags: UInt32, shared: UnsafeMutablePointer<SharedBuffer>
    ) -> gw_status {
        // A borrowed buffer dies with its callback: it goes the way of bytes that are copied.
        if unsafe shared.pointee.isBorrowed {
            return unsafe send(connection, kind, flags, shared.pointee.start, shared.pointee.count)
        }
        guard let opcode = Self.dataOpcode(kind) else {
            unsafe SharedBuffer.release(shared)
            return Status.invalid
        }
        let answer = unsafe HostFunctions.onWorker { worker in
            unsafe worker.sendMessage(connection, module, opcode, shared: shared, isPlain: Self.isPlain(flags))
        }
        if let answer, let answer { return answer }
        guard let found = find(ConnectionID(connection)) else {
            defer { unsafe SharedBuffer.release(shared) }
            return unsafe passOn(connection, opcode, head: Self.head(opcode, flags), shared.pointee.bytes)
        }
        return unsafe post(found, opcode, flags, shared: shared)
    }

    private func post(
        _ found: FoundConnection, _ opcode: Opcode, _ flags: UInt32, shared: UnsafeMutablePointer<SharedBuffer>
    ) -> gw_status {
        let status: gw_status
        if found.isStreaming {
            status = Status.state
        } else if opcode == .text, found.checksText, unsafe !UTF8Checker.isValid(shared.pointee.bytes) {
            status = Status.invalid
        } else {
            status = unsafe post(found, Self.head(opcode, flags), count: shared.pointee.count) { head in
                .shared(found.id, head: head, address: UInt(bitPattern: shared))
            }
        }
        if status < 0 { unsafe SharedBuffer.release(shared) }
        return status
    }

    // MARK: Fragments

    func sendFragment(
        _ connection: gw_conn, _ kind: UInt32, _ flags: UInt32, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        guard accepts(flags: flags, of: "send_fragment"), let opcode = Self.dataOpcode(kind),
            let payload = unsafe Self.bytes(start, count)
        else { return Status.invalid }
        let isFinal = flags & UInt32(GW_FIN) != 0
        guard let found = find(ConnectionID(connection)) else {
            return passOn(
                connection, .fragment(opcode, isFinal: isFinal, isPlain: Self.isPlain(flags)), unsafe Array(payload))
        }
        let local = unsafe HostFunctions.onWorker { worker -> gw_status? in
            guard worker.port === found.port else { return nil }
            return unsafe worker.sendFragment(
                connection, opcode, isFinal: isFinal, payload, found.checksText, isPlain: Self.isPlain(flags))
        }
        if let local, let local { return local }
        var status = Status.closed
        let decision = unsafe found.port.streams.post(
            found.id, opcode, isFinal: isFinal, payload, checksText: found.checksText, found.port
        ) { wire in
            status = unsafe post(
                found, Self.head(wire, isFinal: isFinal) | (Self.isPlain(flags) ? WorkerMessage.plain : 0), payload)
            return status >= 0
        }
        return if case .invalid = decision { Status.invalid } else { status }
    }

    // MARK: Control frames

    func sendControl(
        _ connection: gw_conn, _ opcode: Opcode, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        // RFC 6455 5.5: at most 125 bytes.
        guard count <= 125, let payload = unsafe Self.bytes(start, count) else { return Status.invalid }
        guard let found = find(ConnectionID(connection)) else {
            return unsafe passOn(connection, opcode, head: Self.head(opcode, isFinal: true), payload)
        }
        let local = unsafe HostFunctions.onWorker {
            unsafe $0.sendPiece(connection, opcode, isFinal: true, payload, isPlain: true)
        }
        if let local, let local { return local }
        return unsafe post(found, Self.head(opcode, isFinal: true), payload)
    }

    // MARK: From other threads

    /// An open connection of this handler as other threads see it.
    struct FoundConnection {
        let port: WorkerPort
        let slot: UInt32
        let id: ConnectionID
        let limits: RouteLimits
        let checksText: Bool

        /// A fragmented message to it is open.
        var isStreaming: Bool { port.sharedTable.isStreaming(id) && port.streams.isOpen(id) }
    }

    /// Finds an open connection; nil when it is not open, or another handler's.
    func find(_ id: ConnectionID) -> FoundConnection? {
        guard !isRetired.load(ordering: .acquiring), id.worker < server.ports.count else { return nil }
        let port = server.ports[id.worker]
        guard let slot = port.sharedTable.find(id) else { return nil }
        let address = port.sharedTable[slot].binding.load(ordering: .relaxed)
        guard let binding = unsafe UnsafeMutablePointer<Binding>(bitPattern: address),
            unsafe binding.pointee.module == module
        else { return nil }
        return unsafe FoundConnection(
            port: port, slot: slot, id: id, limits: binding.pointee.limits,
            checksText: !binding.pointee.has(GW_HF_NO_UTF8))
    }

    /// Why nothing was found.
    var refusal: gw_status { isRetired.load(ordering: .acquiring) ? Status.retired : Status.closed }

    private func post(_ found: FoundConnection, _ head: UInt8, _ payload: UnsafeRawBufferPointer) -> gw_status {
        post(found, head, count: payload.count) { head in
            .frame(found.id, head: head, payload: unsafe Array(payload))
        }
    }

    /// Posts a frame if the route's limit lets it.
    ///
    /// Its bytes count before it is under way, so that every thread is bounded, and with its header: else messages of
    /// nothing would be without number.
    private func post(
        _ found: FoundConnection, _ head: UInt8, count: Int, _ item: (_ head: UInt8) -> WorkerMessage
    ) -> gw_status {
        let port = found.port
        let bytes = FrameWriter.size(payload: count)
        let waiting = port.sharedTable[found.slot].departs(bytes)
        // As on the connection's own thread: below the high-water mark one message of any size is taken.
        var makesRoom = false
        if waiting - bytes > found.limits.highWater, waiting > found.limits.sendBuffer {
            makesRoom = true
            if let refusal = refuse(found, bytes) {
                port.sharedTable[found.slot].vanishes(bytes)
                return refusal
            }
        }
        let isHigh = waiting > found.limits.highWater
        guard port.post(item(head | (isHigh ? WorkerMessage.owesDrained : 0)), to: found.id) else {
            port.sharedTable[found.slot].vanishes(bytes)
            return Status.closed
        }
        return isHigh && !makesRoom ? Status.backpressure : Status.ok
    }

    /// More waits than `send_buffer`.
    ///
    /// - Returns: what the sender is told; nil when the owner makes room.
    private func refuse(_ found: FoundConnection, _ bytes: Int) -> gw_status? {
        let entry = found.port.sharedTable[found.slot].binding.load(ordering: .relaxed)
        let costs = unsafe UnsafeMutablePointer<Binding>(bitPattern: entry)?.pointee.route.costs
        switch found.limits.slowConsumer {
        case .close:
            let end = WorkerPort.PromisedEnd(
                code: CloseCode.tryAgainLater, reason: Array("slow consumer".utf8), by: UInt16(GW_BY_GATEWAY))
            if found.port.close(found.id, end) { costs?.closed.add(1, ordering: .relaxed) }
            return Status.closed
        case .dropOld:
            // Nothing in the mailbox can be given up, so it takes no more than `send_buffer` for a connection.
            let inMailbox = found.port.sharedTable[found.slot].inMailbox
            if inMailbox <= max(bytes, found.limits.sendBuffer) { return nil }
        case .dropNew, .pauseReads: break
        }
        costs?.droppedNew.add(1, ordering: .relaxed)
        if !found.port.sharedTable[found.slot].isRefused.exchange(true, ordering: .relaxed) {
            found.port.post(.refused(found.id))
        }
        return Status.dropped
    }
}

extension Worker {
    /// The connection a number means, if it is here, open, and of the module; nil asks elsewhere.
    @inline(__always)
    private func openPeer(_ connection: gw_conn) -> ConnectionPointer? {
        if connection == running.connection, let peer = running.peer { return peer.pointee.phase == .open ? peer : nil }
        let id = ConnectionID(connection)
        guard id.worker == Int(port.index), let peer = table.find(slot: id.slot, serial: id.serial),
            peer.pointee.phase == .open
        else { return nil }
        return peer
    }

    /// Sends on the owner's thread.
    ///
    /// - Returns: nil when the connection is not this worker's open one; the shared table then knows why.
    @inline(__always)
    func sendMessage(
        _ connection: gw_conn, _ module: UInt32, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, isPlain: Bool
    ) -> gw_status? {
        guard let peer = openPeer(connection), let binding = unsafe peer.pointee.binding,
            unsafe binding.pointee.module == module
        else { return nil }
        if peer.pointee.outbox.isStreaming || isStreamedTo(peer), hasOpenStream(peer) { return Status.state }
        if opcode == .text, unsafe !running.isBorrowedText(payload), unsafe !binding.pointee.has(GW_HF_NO_UTF8),
            unsafe !UTF8Checker.isValid(payload)
        {
            return Status.invalid
        }
        return unsafe send(peer, opcode, isFinal: true, payload, isPlain: isPlain)
    }

    func sendMessage(
        _ connection: gw_conn, _ module: UInt32, _ opcode: Opcode, shared: UnsafeMutablePointer<SharedBuffer>,
        isPlain: Bool
    ) -> gw_status? {
        guard let peer = openPeer(connection), let binding = unsafe peer.pointee.binding,
            unsafe binding.pointee.module == module
        else { return nil }
        var refusal: gw_status?
        if peer.pointee.outbox.isStreaming || isStreamedTo(peer), hasOpenStream(peer) {
            refusal = Status.state
        } else if opcode == .text, unsafe !binding.pointee.has(GW_HF_NO_UTF8),
            unsafe !UTF8Checker.isValid(shared.pointee.bytes)
        {
            refusal = Status.invalid
        }
        if let refusal {
            unsafe SharedBuffer.release(shared)
            return refusal
        }
        return unsafe send(peer, opcode, shared: shared, isPlain: isPlain)
    }

    /// Whether a fragmented message to the peer is open, once what other threads have sent of it has been read.
    @inline(never)
    private func hasOpenStream(_ peer: ConnectionPointer) -> Bool {
        if port.streams.hasMail(peer.pointee.id) { mailbox.catchUp(on: self) }
        return port.streams.isOpen(peer.pointee.id)
    }

    /// A fragment of this thread.
    func sendFragment(
        _ connection: gw_conn, _ kind: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, _ checksText: Bool,
        isPlain: Bool
    ) -> gw_status {
        let id = ConnectionID(connection)
        while true {
            if let refusal = refusesFragment(connection, payload.count) { return refusal }
            switch unsafe port.streams.take(
                id, kind, isFinal: isFinal, payload, checksText: checksText, port)
            {
            case .takes(let opcode):
                return unsafe sendPiece(connection, opcode, isFinal: isFinal, payload, isPlain: isPlain)
                    ?? Status.closed
            case .invalid: return Status.invalid
            case .closed: return Status.closed
            case .mailAhead: mailbox.catchUp(on: self)
            }
        }
    }

    /// A refused fragment leaves its stream as it was, so it is refused before that moves on.
    private func refusesFragment(_ connection: gw_conn, _ count: Int) -> gw_status? {
        guard let peer = openPeer(connection), let limits = unsafe peer.pointee.binding?.pointee.limits,
            !limits.closesSlowConsumers
        else { return nil }
        if admitsFragment(peer, count, atMost: limits.sendBuffer) { return nil }
        if peer.pointee.outbox.isStreaming {
            // Maybe only the turn has not written yet.
            if !peer.pointee.outbox.isBlocked { write(peer) }
            if peer.pointee.phase == .open, admitsFragment(peer, count, atMost: limits.sendBuffer) { return nil }
        }
        let room = slowConsumers.makeRoom(peer, for: count, atMost: limits.sendBuffer, on: self)
        if case .none(let refusal) = room { return refusal }
        return nil
    }

    /// What waits behind an open stream goes when that has ended, so it does not keep the rest of it from being sent.
    private func admitsFragment(_ peer: ConnectionPointer, _ count: Int, atMost most: Int) -> Bool {
        let waiting = peer.pointee.outbox.isStreaming ? peer.pointee.outbox.count : unsentBytes(peer)
        return Outbox.admits(count, behind: waiting, atMost: most)
    }

    /// A fragment or a control frame, whose stream and kind the caller has looked after.
    func sendPiece(
        _ connection: gw_conn, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, isPlain: Bool
    ) -> gw_status? {
        guard let peer = openPeer(connection) else { return nil }
        return unsafe send(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain)
    }
}
