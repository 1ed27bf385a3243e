import Bytes
import GatewayIO
import HTTP
import HandlerModules
import Synchronization
import WebSocket

/// Connections as records.
extension ConnectionExporter {
    /// What is the gateway's own business of a connection.
    func record(_ peer: ConnectionPointer, on worker: Worker) -> ConnectionRecord {
        var record = outline(peer, on: worker)
        record.input.message = peer.pointee.assembler.kept
        record.output.unsent = peer.pointee.outbox.unsent
        if let border = peer.pointee.rareState?.border {
            let front = peer.pointee.bytesOut
            record.output.border = border > front ? min(Int(clamping: border - front), record.output.unsent.count) : 0
        }
        if let compression = peer.pointee.rareState?.compression { addWindows(of: compression, to: &record) }
        return record
    }

    /// The same without what waits in either direction, and what messages may refer to. A request that is being answered is
    /// one that has not been read, and a connection that says its last words is one that closes.
    func outline(_ peer: ConnectionPointer, on worker: Worker) -> ConnectionRecord {
        var record = ConnectionRecord()
        record.id = peer.pointee.id.number
        record.phase = phase(peer)
        record.peer = peerRecord(peer)
        record.input = input(peer)
        record.output = output(peer)
        record.compression = peer.pointee.rareState?.compression.map { CompressionRecord($0.parameters) }
        record.traffic = traffic(peer)
        record.times = times(peer, on: worker)
        if record.phase != .head { record.route = route(peer) }
        (record.ending.code, record.ending.by) = (peer.pointee.closeCode, peer.pointee.closeBy)
        record.ending.reason = peer.pointee.rareState?.closeReason ?? []
        record.ending.osError = peer.pointee.rareState?.osError ?? 0
        record.ending.isUntold = peer.pointee.rareState?.isEndUntold ?? false
        return record
    }

    private func phase(_ peer: ConnectionPointer) -> ConnectionRecord.Phase {
        switch peer.pointee.phase {
        case .head, .body, .answering: .head
        case .open: .open
        case .closing, .ending: .closing
        case .away, .multiplexed, .lingering, .gone:
            preconditionFailure("a connection in \(peer.pointee.phase) does not move")
        }
    }

    /// What the socket does not say of a peer.
    func peerRecord(_ peer: ConnectionPointer) -> PeerRecord {
        var record = PeerRecord()
        guard let rareState = peer.pointee.rareState else { return record }
        record.announced = rareState.announced.map { AddressRecord($0) }
        record.forwarded = rareState.forwarded.map { AddressRecord($0.address) }
        record.isForwardedSecurely = rareState.forwarded?.isSecure ?? false
        record.relay = rareState.relayed
        guard rareState.relay != nil else {
            record.maxStreams = rareState.options.maxStreams
            return record
        }
        record.announced = (rareState.announced ?? peer.pointee.transport.peerAddress).map { AddressRecord($0) }
        record.relay = RelayRecord(peer)
        return record
    }

    private func input(_ peer: ConnectionPointer) -> InputRecord {
        var record = InputRecord()
        record.frames = peer.pointee.reader.snapshot
        if peer.pointee.phase == .body || peer.pointee.phase == .answering, let exchange = peer.pointee.exchange {
            record.leftover = exchange.head.bytes + exchange.body
        }
        unsafe record.leftover.append(contentsOf: peer.pointee.leftover.bytes)
        record.isReadingOff = peer.pointee.flags.contains(.readingOff)
        return record
    }

    private func output(_ peer: ConnectionPointer) -> OutputRecord {
        var record = OutputRecord()
        record.owesDrained = peer.pointee.outbox.owesDrained
        guard let rareState = peer.pointee.rareState else { return record }
        record.unansweredPing = rareState.unansweredPing
        record.unansweredPings = UInt32(clamping: rareState.unansweredPings)
        return record
    }

    private func addWindows(of compression: ConnectionCompression, to record: inout ConnectionRecord) {
        record.compression?.received = compression.receivedWindow
        if compression.keepsSentContext { record.compression?.sent = compression.deflater?.window ?? [] }
    }

    private func traffic(_ peer: ConnectionPointer) -> TrafficRecord {
        var record = TrafficRecord()
        (record.messagesIn, record.messagesOut) = (peer.pointee.messagesIn, peer.pointee.messagesOut)
        (record.bytesIn, record.bytesOut) = (peer.pointee.bytesIn, peer.pointee.bytesOut)
        // Above: the response to the handshake, which does not count, has not gone out yet.
        let ahead = peer.pointee.counted.bytesOut &- UInt32(truncatingIfNeeded: peer.pointee.bytesOut)
        if peer.pointee.flags.contains(.opened) { record.uncounted = UInt32(max(0, Int32(bitPattern: ahead))) }
        record.mark = peer.pointee.mark
        return record
    }

    private func times(_ peer: ConnectionPointer, on worker: Worker) -> TimeRecord {
        var record = TimeRecord()
        record.deadlineIn = span(until: peer.pointee.deadline, on: worker)
        record.pingIn = span(until: peer.pointee.pingDue, on: worker)
        (record.isPinged, record.pingStamp) = (peer.pointee.flags.contains(.pinged), peer.pointee.pingStamp)
        record.lastMessageAgo = span(since: peer.pointee.lastMessage, on: worker)
        guard peer.pointee.phase == .open else { return record }
        let slot = peer.pointee.slot
        record.openedAgo = span(since: worker.port.sharedTable[slot].openedAt.load(ordering: .relaxed), on: worker)
        record.lastInAgo = span(since: worker.port.sharedTable[slot].lastIn.load(ordering: .relaxed), on: worker)
        record.lastOutAgo = span(since: worker.port.sharedTable[slot].lastOut.load(ordering: .relaxed), on: worker)
        record.roundTripMicroseconds =
            worker.port.sharedTable[slot].roundTripMicroseconds.load(ordering: .relaxed)
        return record
    }

    /// Milliseconds; nil where there is no such time.
    private func span(until tick: UInt32, on worker: Worker) -> UInt64? {
        tick == 0 ? nil : tick > worker.now ? UInt64(tick - worker.now) * TimerWheel.tickMilliseconds : 0
    }

    private func span(since tick: UInt32, on worker: Worker) -> UInt64 {
        UInt64(worker.now &- tick) * TimerWheel.tickMilliseconds
    }

    private func route(_ peer: ConnectionPointer) -> RouteRecord? {
        guard let binding = unsafe peer.pointee.binding else { return nil }
        var record = RouteRecord()
        record.name = unsafe binding.pointee.route.name
        record.handler = unsafe binding.pointee.route.handler
        record.subprotocol = peer.pointee.rareState?.subprotocol
        record.logged = peer.pointee.rareState?.loggedRequest?.record
        return record
    }

    /// What the handler has of a connection, but for its state.
    func handlerRecord(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, on worker: Worker
    ) -> HandlerRecord {
        var record = HandlerRecord()
        record.request = peer.pointee.exchange.map { KeptRequest($0) }
        record.topics = (peer.pointee.rareState?.memberships ?? []).map { TopicRecord($0.topic.topic.key) }
        let now = worker.clock()
        record.timers = worker.port.timers.timers(of: .connection(peer.pointee.id.number)).map { number, timer in
            TimerRecord(
                number: number, token: timer.token, interval: timer.interval,
                dueIn: timer.due > now ? timer.due - now : 0)
        }
        return record
    }
}
