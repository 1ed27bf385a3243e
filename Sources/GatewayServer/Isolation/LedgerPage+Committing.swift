import Bytes
import CGatewayABI
import HandlerModules
import Synchronization
import WebSocket

extension LedgerEntry {
    /// The last one of a connection.
    init(leaving peer: ConnectionPointer, _ state: LedgerState) {
        self.init()
        self[.id] = peer.pointee.id.number
        (self[.bytesIn], self[.bytesOut]) = (peer.pointee.bytesIn, peer.pointee.bytesOut)
        (self[.messagesIn], self[.messagesOut]) = (peer.pointee.messagesIn, peer.pointee.messagesOut)
        self[.moment] = UInt64(state.rawValue) << 32 | UInt64(peer.pointee.lastMessage)
    }
}

/// Writing a connection down.
extension LedgerPage {
    /// More output than that is not kept.
    private static let mostOutput = 64 * 1024
    /// Nor more of a request that is being answered.
    private static let mostRequest = 64 * 1024

    /// Writes down what the connection has become. Where nothing but its counts has changed, that is nothing but them.
    func commit(_ peer: ConnectionPointer, on worker: Worker) {
        let slot = peer.pointee.slot
        guard has(slot) else { return }
        if places[slot].id != peer.pointee.id.number { start(peer) }
        places[slot].flags.remove(.touched)
        if places[slot].entry.state.hasLeft { return }
        if hasOtherWindow(peer) { places[slot].flags.insert(.stale) }
        var obstacle = self.obstacle(peer, on: worker)
        let isQuiet =
            peer.pointee.leftover.isEmpty && peer.pointee.reader.isBetweenMessages && peer.pointee.phase != .body
        let isSame =
            places[slot].flags.contains(.isQuiet) && !places[slot].flags.contains(.stale)
            && places[slot].phase == peer.pointee.phase && places[slot].entry[.lengths] == 0
        let calls = peer.pointee.rareState?.calls
        if !isQuiet || !isSame || !peer.pointee.outbox.isEmpty || !(calls?.isEmpty ?? true) {
            let isKept =
                obstacle?.leavesRecord ?? true ? keep(peer, obstacle, isQuiet: isQuiet, on: worker) : forget(slot)
            if !isKept { obstacle = obstacle ?? .noRoom }
        }
        let border = peer.pointee.rareState?.border.map { $0 &+ 1 } ?? 0
        places[slot].set(.border, border)
        var state = LedgerState(obstacle)
        if let calls { finish(calls, slot, &state) }
        if isInside(peer, on: worker) { state.insert(.isInside) }
        if peer.pointee.outbox.owesDrained { state.insert(.owesDrained) }
        if peer.pointee.owesEnd { state.insert(.isOpened) }
        places[slot].entry[.bytesIn] = peer.pointee.bytesIn
        places[slot].entry[.bytesOut] = peer.pointee.bytesOut
        places[slot].entry[.messagesIn] = peer.pointee.messagesIn
        places[slot].entry[.messagesOut] = peer.pointee.messagesOut
        places[slot].entry[.moment] = UInt64(state.rawValue) << 32 | UInt64(peer.pointee.lastMessage)
        publish(slot)
    }

    private func finish(_ calls: QueuedCalls, _ slot: UInt32, _ state: inout LedgerState) {
        let isReferenced = places[slot].entry.messageLength > 0
        if isReferenced { state = LedgerState(behind: calls.skipped) }
        if calls.drains > 0 { state.insert(.owesDrained) }
        calls.commit(isReferenced: isReferenced, self)
    }

    /// Messages have come since the record was made to which later ones may refer.
    private func hasOtherWindow(_ peer: ConnectionPointer) -> Bool {
        guard let compression = peer.pointee.rareState?.compression, compression.keepsReceivedContext else {
            return false
        }
        return places[peer.pointee.slot].recordedMessages != peer.pointee.messagesIn
    }

    // MARK: What stands in the way

    private func obstacle(_ peer: ConnectionPointer, on worker: Worker) -> LedgerObstacle? {
        switch peer.pointee.phase {
        case .head: return peer.pointee.outbox.count > Self.mostOutput ? .tooMuchOutput : nil
        case .body, .answering:
            guard let exchange = peer.pointee.exchange, !peer.pointee.flags.contains(.peerLeft),
                exchange.body.count + peer.pointee.leftover.count <= Self.mostRequest,
                peer.pointee.outbox.count <= Self.mostOutput
            else { return .request }
            return nil
        case .open: return openObstacle(peer, on: worker)
        case .closing: return peer.pointee.outbox.count > Self.mostOutput ? .tooMuchOutput : nil
        case .ending:
            // Of a WebSocket: the answer to a plain request is nothing to go on with.
            guard peer.pointee.closeBy != 0, unsafe peer.pointee.binding != nil else { return .ending }
            return peer.pointee.outbox.count > Self.mostOutput ? .tooMuchOutput : nil
        case .away, .multiplexed, .lingering, .gone: return .ending
        }
    }

    private func openObstacle(_ peer: ConnectionPointer, on worker: Worker) -> LedgerObstacle? {
        if peer.pointee.outbox.count > Self.mostOutput { return .tooMuchOutput }
        if peer.pointee.outbox.isStreaming || worker.isStreamedTo(peer) { return .halfSent }
        if worker.port.sharedTable[peer.pointee.slot].jobs.load(ordering: .relaxed) != 0 { return .job }
        if !worker.events.isEmpty, worker.events.hasPending(for: peer.pointee.id.number) { return .event }
        if peer.pointee.reader.isInsideMessage {
            if peer.pointee.reader.isCompressed { return .halfCompressed }
            if unsafe peer.pointee.binding?.pointee.handler.fragment != nil { return .halfDelivered }
        }
        return peer.pointee.rareState?.calls?.obstacle
    }

    // MARK: What has no fixed size

    /// Keeps what has come by half, what waits for the peer, and the record.
    ///
    /// - Returns: false where there is no room.
    private func keep(
        _ peer: ConnectionPointer, _ obstacle: LedgerObstacle?, isQuiet: Bool, on worker: Worker
    ) -> Bool {
        let slot = peer.pointee.slot
        let isStale = places[slot].flags.contains(.stale)
        // A reader that finds neither has nothing to go by.
        guard keepMessage(peer, obstacle), keepOutput(peer, isStale: isStale) else { return forget(slot) }
        let isSame = !isStale && isQuiet && places[slot].flags.contains(.isQuiet)
        if isSame, places[slot].phase == peer.pointee.phase, !places[slot].record.isNone { return true }
        return keepRecord(peer, obstacle, isQuiet: isQuiet, on: worker) || forget(slot)
    }

    /// What is there is not what the connection has become: the next time everything is written anew.
    ///
    /// - Returns: false.
    private func forget(_ slot: UInt32) -> Bool {
        dropMessage(slot)
        dropOutput(slot)
        places[slot].flags.insert(.stale)
        return false
    }

    private func keepRecord(
        _ peer: ConnectionPointer, _ obstacle: LedgerObstacle?, isQuiet: Bool, on worker: Worker
    ) -> Bool {
        let (slot, id) = (peer.pointee.slot, peer.pointee.id.number)
        var record = worker.exporter.outline(peer, on: worker)
        if peer.pointee.phase == .open, let binding = unsafe peer.pointee.binding {
            record.handler = unsafe worker.exporter.handlerRecord(peer, binding, on: worker)
        }
        if obstacle == .halfCompressed || obstacle == .halfDelivered {
            // Nothing comes of it, and nobody stands there.
            let allowsCompression = record.input.frames.allowsCompression
            record.input = InputRecord()
            record.input.frames.allowsCompression = allowsCompression
        }
        // What the peer has been sent refers to nothing that the next process has to know.
        if let compression = peer.pointee.rareState?.compression, obstacle != .halfCompressed {
            record.compression?.received = compression.receivedWindow
        }
        // What comes behind a Close is thrown away.
        if peer.pointee.phase != .open { record.input.frames.isCompressed = false }
        guard let block = makeRecord(record.bytes, of: id, on: worker) else { return false }
        retire(places[slot].record)
        places[slot].record = block
        places[slot].set(.record, UInt64(block.offset))
        places[slot].phase = peer.pointee.phase
        places[slot].recordedMessages = peer.pointee.messagesIn
        places[slot].flags.remove(.stale)
        if isQuiet { places[slot].flags.insert(.isQuiet) } else { places[slot].flags.remove(.isQuiet) }
        return true
    }

    /// Writes a record down, and when that was.
    ///
    /// - Returns: nil where there is no room.
    func makeRecord(_ bytes: [UInt8], of id: UInt64, on worker: Worker) -> LedgerArena.Block? {
        guard let block = arena.take(LedgerBlob.size(8 + bytes.count)) else { return nil }
        let start = block.offset + LedgerBlob.header
        ledger.memory.store(worker.nowNanoseconds, at: start)
        unsafe bytes.withUnsafeBytes { unsafe ledger.memory.write($0, at: start + 8) }
        LedgerBlob.seal(ledger.memory, at: block.offset, length: 8 + bytes.count, of: id)
        return block
    }

    // MARK: A message that has come by half

    private func keepMessage(_ peer: ConnectionPointer, _ obstacle: LedgerObstacle?) -> Bool {
        if let calls = peer.pointee.rareState?.calls { return keepCalls(peer, calls, obstacle) }
        let slot = peer.pointee.slot
        let isHalf = peer.pointee.phase == .open && peer.pointee.reader.isInsideMessage
        let count =
            isHalf && obstacle != .halfCompressed && obstacle != .halfDelivered ? peer.pointee.assembler.count : 0
        let isSame =
            places[slot].messageNumber == peer.pointee.messagesIn && places[slot].messageBytes <= count
            && !places[slot].message.isNone
        if !isSame || count == 0 {
            dropMessage(slot)
            places[slot].messageNumber = peer.pointee.messagesIn
        }
        let known = places[slot].messageBytes
        if known == count { return true }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: peer.pointee.assembler.bytes[known..<count])
        var (block, length) = (places[slot].message, places[slot].entry.messageLength)
        let isKept = append(bytes.count, to: &block, &length, of: peer.pointee.id.number) { place in
            unsafe ledger.memory.write(bytes, at: place)
        }
        guard isKept else { return false }
        places[slot].message = block
        places[slot].messageBytes = count
        places[slot].set(.message, UInt64(block.offset))
        places[slot].set(messageLength: length)
        return true
    }

    private func dropMessage(_ slot: UInt32) {
        places[slot].messageBytes = 0
        if places[slot].message.isNone, places[slot].entry.messageLength == 0 { return }
        retire(places[slot].message)
        places[slot].message = LedgerArena.Block()
        places[slot].set(.message, 0)
        places[slot].set(messageLength: 0)
    }

    // MARK: What waits for the peer

    /// - Parameter isStale: what is there may be of something that was given up.
    private func keepOutput(_ peer: ConnectionPointer, isStale: Bool) -> Bool {
        let slot = peer.pointee.slot
        let start = peer.pointee.bytesOut
        let end = start &+ UInt64(truncatingIfNeeded: peer.pointee.outbox.count)
        var known = places[slot].outputEnd
        // What has left lies there still, up to a point.
        let isSame =
            !places[slot].output.isNone && !isStale && known > start && known <= end
            && places[slot].entry.outputLength <= 2 * Self.mostOutput
        if !isSame {
            dropOutput(slot)
            known = start
        }
        if known == end { return true }
        var (block, length) = (places[slot].output, places[slot].entry.outputLength)
        let count = Int(truncatingIfNeeded: end &- known)
        let isKept = append(count, to: &block, &length, of: peer.pointee.id.number) { place in
            var place = place
            unsafe peer.pointee.outbox.visitUnsent(from: Int(truncatingIfNeeded: known &- start)) { run in
                unsafe ledger.memory.write(run, at: place)
                place += run.count
            }
        }
        guard isKept else { return false }
        if !isSame { places[slot].set(.outputStart, start) }
        places[slot].output = block
        places[slot].outputEnd = end
        places[slot].set(.output, UInt64(block.offset))
        places[slot].set(outputLength: length)
        return true
    }

    private func dropOutput(_ slot: UInt32) {
        if places[slot].output.isNone { return }
        retire(places[slot].output)
        places[slot].output = LedgerArena.Block()
        places[slot].set(.output, 0)
        places[slot].set(outputLength: 0)
    }

    // MARK: Runs that grow

    /// The entry has 32 bits for how long one is.
    private static let longestRun = Int(UInt32.max)

    /// Puts a blob behind others. What the entry that holds has of them stays as it is.
    ///
    /// - Parameter write: the bytes, to where they belong.
    /// - Returns: false where there is no room.
    private func append(
        _ count: Int, to block: inout LedgerArena.Block, _ length: inout Int, of id: UInt64, _ write: (Int) -> Void
    ) -> Bool {
        let size = LedgerBlob.size(count)
        guard length + size <= Self.longestRun else { return false }
        if block.size - length < size {
            guard let grown = arena.take(max(2 * block.size, length + size)) else { return false }
            if length > 0 {
                unsafe ledger.memory.write(
                    ledger.memory.bytes(block.offset..<block.offset + length), at: grown.offset)
            }
            retire(block)
            block = grown
        }
        write(block.offset + length + LedgerBlob.header)
        LedgerBlob.seal(ledger.memory, at: block.offset + length, length: count, of: id)
        length += size
        return true
    }
}
