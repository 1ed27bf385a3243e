import Bytes
import CGatewayABI
import Glibc
import Synchronization
import WebSocket

extension HostFunctions {
    static func fillSending(_ table: inout gw_host) {
        unsafe table.send = { host, connection, kind, _, start, count in
            if let host = unsafe host,
                unsafe HostFunctions.onWorker({ unsafe $0.echo(host, connection, kind, start, count) }) == true
            {
                return Status.ok
            }
            return unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.send(connection, kind, start, count)
            }
        }
        unsafe table.send_buf = { host, connection, kind, _, buffer in
            guard let shared = unsafe HostFunctions.shared(buffer) else { return Status.invalid }
            // One reference is taken over always.
            if unsafe host == nil { unsafe SharedOctets.release(shared) }
            return unsafe HostContext.with(host, else: Status.invalid) {
                unsafe $0.send(connection, kind, shared: shared)
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
}

extension HostContext {
    /// The first octet of a frame.
    private static func head(_ opcode: Opcode, isFinal: Bool) -> UInt8 { opcode.rawValue | (isFinal ? 0x80 : 0) }

    static func dataOpcode(_ kind: UInt32) -> Opcode? {
        switch Int(kind) {
        case GW_TEXT: .text
        case GW_BINARY: .binary
        default: nil
        }
    }

    /// Octets that a handler lends; nil when it lends none and says there are some.
    static func octets(_ start: UnsafeRawPointer?, _ count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, unsafe start != nil || count == 0 else { return nil }
        return unsafe UnsafeRawBufferPointer(start: start, count: count)
    }

    // MARK: Whole messages

    @inline(__always)
    func send(_ connection: gw_conn, _ kind: UInt32, _ start: UnsafeRawPointer?, _ count: Int) -> gw_status {
        guard let opcode = Self.dataOpcode(kind), let payload = unsafe Self.octets(start, count) else {
            return Status.invalid
        }
        let answer = unsafe HostFunctions.onWorker { worker in
            unsafe worker.sendMessage(connection, module, opcode, payload)
        }
        if let answer, let answer { return answer }
        return unsafe sendFromElsewhere(ConnectionID(connection), opcode, payload)
    }

    private func sendFromElsewhere(
        _ id: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) -> gw_status {
        guard let notice = find(id) else { return refusal }
        if notice.port.board.isStreaming(id) { return Status.state }
        if opcode == .text, notice.checksText, unsafe !UTF8Checker.isValid(payload) { return Status.invalid }
        return unsafe post(notice, Self.head(opcode, isFinal: true), payload)
    }

    /// Sends shared octets; their reference is taken over in any case.
    func send(
        _ connection: gw_conn, _ kind: UInt32, shared: UnsafeMutablePointer<SharedOctets>
    ) -> gw_status {
        // A borrowed buffer dies with its callback: it goes the way of octets that are copied.
        if unsafe shared.pointee.isLent {
            return unsafe send(connection, kind, shared.pointee.start, shared.pointee.count)
        }
        guard let opcode = Self.dataOpcode(kind) else {
            unsafe SharedOctets.release(shared)
            return Status.invalid
        }
        let answer = unsafe HostFunctions.onWorker { unsafe $0.sendMessage(connection, module, opcode, shared: shared) }
        if let answer, let answer { return answer }
        guard let notice = find(ConnectionID(connection)) else {
            unsafe SharedOctets.release(shared)
            return refusal
        }
        return unsafe post(notice, opcode, shared: shared)
    }

    private func post(
        _ notice: FoundNotice, _ opcode: Opcode, shared: UnsafeMutablePointer<SharedOctets>
    ) -> gw_status {
        var status = Status.ok
        if notice.port.board.isStreaming(notice.id) {
            status = Status.state
        } else if opcode == .text, notice.checksText, unsafe !UTF8Checker.isValid(shared.pointee.octets) {
            status = Status.invalid
        } else {
            status = unsafe reserve(notice, shared.pointee.count)
        }
        if status < 0 {
            unsafe SharedOctets.release(shared)
            return status
        }
        let head = Self.head(opcode, isFinal: true) | (status == Status.backpressure ? Letter.owesDrained : 0)
        notice.port.post(.shared(notice.id, head: head, address: UInt(bitPattern: shared)))
        return status
    }

    // MARK: Fragments

    func sendFragment(
        _ connection: gw_conn, _ kind: UInt32, _ flags: UInt32, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        guard let opcode = Self.dataOpcode(kind), let payload = unsafe Self.octets(start, count) else {
            return Status.invalid
        }
        let id = ConnectionID(connection)
        guard let notice = find(id) else { return refusal }
        let isFinal = flags & UInt32(GW_FIN) != 0
        let known = notice.port.streams.withLock { $0[connection] }
        var stream = known ?? OutgoingStream(kind: opcode)
        guard stream.kind == opcode else { return Status.invalid }
        if opcode == .text, notice.checksText {
            guard unsafe stream.utf8.accept(payload), !isFinal || stream.utf8.isComplete else { return Status.invalid }
        }
        let wire: Opcode = known == nil ? opcode : .continuation
        let local = unsafe HostFunctions.onWorker { unsafe $0.sendPiece(connection, wire, isFinal: isFinal, payload) }
        let status: gw_status
        if let local, let local {
            status = local
        } else {
            status = unsafe post(notice, Self.head(wire, isFinal: isFinal), payload)
        }
        // Only what was queued moves the stream on: a refused fragment may be tried again.
        if status >= 0 { note(isFinal ? nil : stream, of: notice) }
        return status
    }

    private func note(_ stream: OutgoingStream?, of notice: FoundNotice) {
        let board = notice.port.board
        notice.port.streams.withLock { streams in
            // The owner withdraws its notice and then comes here for the stream: either it or we see the other.
            streams[notice.id.number] = board.find(notice.id) == nil ? nil : stream
        }
        notice.port.hasStreamed.store(true, ordering: .releasing)
        board[notice.slot].stream.store(stream == nil ? 0 : notice.id.serial, ordering: .releasing)
    }

    // MARK: Control frames

    func sendControl(
        _ connection: gw_conn, _ opcode: Opcode, _ start: UnsafeRawPointer?, _ count: Int
    ) -> gw_status {
        // RFC 6455 5.5: at most 125 octets.
        guard count <= 125, let payload = unsafe Self.octets(start, count) else { return Status.invalid }
        guard let notice = find(ConnectionID(connection)) else { return refusal }
        let local = unsafe HostFunctions.onWorker { unsafe $0.sendPiece(connection, opcode, isFinal: true, payload) }
        if let local, let local { return local }
        return unsafe post(notice, Self.head(opcode, isFinal: true), payload)
    }

    // MARK: From other threads

    /// An open connection of this handler as other threads see it.
    struct FoundNotice {
        let port: WorkerPort
        let slot: UInt32
        let id: ConnectionID
        let limits: RouteLimits
        let checksText: Bool
    }

    /// Finds an open connection; nil when it is not open, or another handler's.
    func find(_ id: ConnectionID) -> FoundNotice? {
        guard !isRetired.load(ordering: .acquiring), id.worker < server.ports.count else { return nil }
        let port = server.ports[id.worker]
        guard let slot = port.board.find(id) else { return nil }
        let address = port.board[slot].binding.load(ordering: .relaxed)
        guard let binding = unsafe UnsafeMutablePointer<Binding>(bitPattern: address),
            unsafe binding.pointee.module == module
        else { return nil }
        return unsafe FoundNotice(
            port: port, slot: slot, id: id, limits: binding.pointee.limits,
            checksText: !binding.pointee.has(GW_HF_NO_UTF8))
    }

    /// Why nothing was found.
    var refusal: gw_status { isRetired.load(ordering: .acquiring) ? Status.retired : Status.closed }

    private func post(_ notice: FoundNotice, _ head: UInt8, _ payload: UnsafeRawBufferPointer) -> gw_status {
        let status = reserve(notice, payload.count)
        if status < 0 { return status }
        let head = head | (status == Status.backpressure ? Letter.owesDrained : 0)
        notice.port.post(.frame(notice.id, head: head, payload: unsafe Array(payload)))
        return status
    }

    /// Counts octets towards the connection's queue before they are under way, so that every thread is bounded.
    ///
    /// A frame counts with its header: else messages of nothing would be without number.
    private func reserve(_ notice: FoundNotice, _ payload: Int) -> gw_status {
        let board = notice.port.board
        let octets = FrameWriter.size(payload: payload)
        let waiting = Int(board[notice.slot].queued.load(ordering: .relaxed)) + board[notice.slot].departs(octets)
        if waiting > octets, waiting > notice.limits.sendBuffer {
            board[notice.slot].arrived(octets)
            // Whoever takes the notice down is the one that closes: those behind it find nothing any more.
            guard board.takeDown(notice.id) else { return Status.closed }
            notice.port.post(
                .close(
                    notice.id, code: CloseCode.tryAgainLater, reason: Array("slow consumer".utf8),
                    by: UInt16(GW_BY_GATEWAY)))
            return Status.closed
        }
        return waiting > notice.limits.highWater ? Status.backpressure : Status.ok
    }
}

extension Worker {
    /// The connection a number means, if it is here, open, and of the module; nil asks elsewhere.
    @inline(__always)
    private func openPeer(_ connection: gw_conn) -> ConnectionPlace? {
        if connection == current, let peer = currentPeer { return peer.its.phase == .open ? peer : nil }
        let id = ConnectionID(connection)
        guard id.worker == Int(port.index), let peer = table.find(slot: id.slot, serial: id.serial),
            peer.its.phase == .open
        else { return nil }
        return peer
    }

    /// Sends on the owner's thread.
    ///
    /// - Returns: nil when the connection is not this worker's open one; the board then knows why.
    @inline(__always)
    func sendMessage(
        _ connection: gw_conn, _ module: UInt32, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) -> gw_status? {
        guard let peer = openPeer(connection), let binding = unsafe peer.its.binding,
            unsafe binding.pointee.module == module
        else { return nil }
        if isMidStream(peer) || isStreamedTo(peer) { return Status.state }
        if opcode == .text, unsafe !isLentText(payload), unsafe !binding.pointee.has(GW_HF_NO_UTF8),
            unsafe !UTF8Checker.isValid(payload)
        {
            return Status.invalid
        }
        return unsafe send(peer, opcode, isFinal: true, payload)
    }

    func sendMessage(
        _ connection: gw_conn, _ module: UInt32, _ opcode: Opcode, shared: UnsafeMutablePointer<SharedOctets>
    ) -> gw_status? {
        guard let peer = openPeer(connection), let binding = unsafe peer.its.binding,
            unsafe binding.pointee.module == module
        else { return nil }
        var refusal: gw_status?
        if isMidStream(peer) || isStreamedTo(peer) {
            refusal = Status.state
        } else if opcode == .text, unsafe !binding.pointee.has(GW_HF_NO_UTF8),
            unsafe !UTF8Checker.isValid(shared.pointee.octets)
        {
            refusal = Status.invalid
        }
        if let refusal {
            unsafe SharedOctets.release(shared)
            return refusal
        }
        return unsafe send(peer, opcode, shared: shared)
    }

    /// A fragment or a control frame, whose stream and kind the caller has looked after.
    func sendPiece(
        _ connection: gw_conn, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer
    ) -> gw_status? {
        guard let peer = openPeer(connection) else { return nil }
        return unsafe send(peer, opcode, isFinal: isFinal, payload)
    }

    /// Whether a payload is a part of the text message that is being delivered: that was checked on its way in,
    /// and a part that begins and ends between characters is text as well.
    @inline(__always)
    func isLentText(_ payload: UnsafeRawBufferPointer) -> Bool {
        guard unsafe message.pointee.kind == UInt32(GW_TEXT), let start = payload.baseAddress,
            let lent = unsafe lender.pointee.start
        else { return false }
        let end = unsafe start + payload.count
        let lentEnd = unsafe lent + lender.pointee.count
        guard unsafe start >= lent, unsafe end <= lentEnd, payload.count > 0 else { return false }
        if unsafe start.load(as: UInt8.self) & 0xC0 == 0x80 { return false }
        return unsafe end == lentEnd || end.load(as: UInt8.self) & 0xC0 != 0x80
    }
}
