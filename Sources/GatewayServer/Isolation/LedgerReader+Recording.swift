import GatewayIO
import Glibc
import WebSocket

/// Records of connections, made of their entries and of what those point at.
extension LedgerReader {
    /// No blob has more.
    private static let mostBytes = 1 << 30

    /// - Parameters:
    ///   - input: what has come since.
    ///   - now: nanoseconds of the monotonic clock.
    func record(_ entry: LedgerEntry, input: [UInt8], at now: UInt64) throws(RecordError) -> ConnectionRecord {
        let id = ConnectionID(entry[.id])
        let arena = layout.arena(id.worker)
        var (record, made) = try outline(entry)
        if entry.state.contains(.isQueued) {
            try addCalls(entry, in: arena, to: &record)
        } else if entry.messageLength > 0 {
            record.input.message = try parts(entry[.message], entry.messageLength, in: arena, of: id.number, "message")
        }
        try addOutput(entry, in: arena, to: &record)
        if record.handler != nil, entry[.checkpoint] != 0 {
            record.handler?.state = try checkpoint(entry[.checkpoint], in: arena, of: id.number)
        }
        age(&record, entry, by: now > made ? now - made : 0, now)
        (record.traffic.messagesIn, record.traffic.messagesOut) = (entry[.messagesIn], entry[.messagesOut])
        record.input.leftover += input
        record.traffic.bytesIn = entry[.bytesIn] &+ UInt64(input.count)
        let sent = entry[.bytesOut] &- record.traffic.bytesOut
        record.traffic.bytesOut = entry[.bytesOut]
        record.traffic.uncounted -= UInt32(clamping: min(sent, UInt64(record.traffic.uncounted)))
        // What each part says may go together no longer.
        return try ConnectionRecord(record.bytes)
    }

    /// That of a connection which has been given away whole.
    func givenRecord(_ entry: LedgerEntry, at now: UInt64) throws(RecordError) -> ConnectionRecord {
        var (record, made) = try outline(entry)
        age(&record, entry, by: now > made ? now - made : 0, now)
        return try ConnectionRecord(record.bytes)
    }

    /// The record that an entry points at, and when that was made.
    private func outline(_ entry: LedgerEntry) throws(RecordError) -> (ConnectionRecord, made: UInt64) {
        let id = ConnectionID(entry[.id])
        guard let blob = blob(entry[.record], in: layout.arena(id.worker), of: id.number), blob.count >= 8 else {
            throw Self.damaged("record")
        }
        let record = try ConnectionRecord(Array(blob[8...]))
        guard record.id == id.number else { throw Self.damaged("record") }
        return (record, blob[..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }

    private static func damaged(_ what: String) -> RecordError {
        RecordError(reason: .isContradiction("its \(what) is not whole"), offset: 0)
    }

    // MARK: What waits for the pool

    /// What was written down of it, and of the message behind that which has come by half.
    private func addCalls(
        _ entry: LedgerEntry, in arena: Range<Int>, to record: inout ConnectionRecord
    ) throws(RecordError) {
        var (skipped, part): (Int, [UInt8]) = (entry.state.skipped, [])
        try unsafe forEachPart(entry[.message], entry.messageLength, in: arena, of: entry[.id], "queue") { blob in
            guard var input = unsafe QueuedInput(blob), record.input.queued.count < QueuedInput.most else {
                return false
            }
            switch input.kind {
            case .part:
                part += input.payload
                return true
            case .message:
                input.payload = part + input.payload
                part = []
            case .ping, .pong, .close:
                if skipped > 0 {
                    skipped -= 1
                    return true
                }
            }
            record.input.queued.append(input)
            return true
        }
        record.input.message = part
    }

    // MARK: What waits for the peer

    /// What was written down, without what has left since.
    private func addOutput(
        _ entry: LedgerEntry, in arena: Range<Int>, to record: inout ConnectionRecord
    ) throws(RecordError) {
        record.output.owesDrained = entry.state.contains(.owesDrained)
        record.output.border = nil
        if entry.outputLength > 0 {
            let bytes = try parts(entry[.output], entry.outputLength, in: arena, of: entry[.id], "output")
            let sent = entry[.bytesOut] &- entry[.outputStart]
            // More has left than that: nothing waits.
            record.output.unsent = Array(bytes.dropFirst(Int(clamping: sent)))
        }
        if entry[.border] > 0 {
            let border = entry[.border] - 1
            let ahead = border > entry[.bytesOut] ? Int(clamping: border - entry[.bytesOut]) : 0
            record.output.border = min(ahead, record.output.unsent.count)
        }
    }

    // MARK: Times

    /// Spans count from now, and no longer from when the record was made.
    private func age(_ record: inout ConnectionRecord, _ entry: LedgerEntry, by nanoseconds: UInt64, _ now: UInt64) {
        let milliseconds = nanoseconds / 1_000_000
        func left(_ span: UInt64) -> UInt64 { span > milliseconds ? span - milliseconds : 0 }
        func ago(_ span: UInt64) -> UInt64 { span.addingReportingOverflow(milliseconds).partialValue }
        let hasSpoken = entry[.bytesIn] != record.traffic.bytesIn
        let hasHeard = entry[.bytesOut] != record.traffic.bytesOut
        let last = start &+ UInt64(max(1, entry.lastMessage) - 1) &* TimerWheel.tickMilliseconds &* 1_000_000
        record.times.lastMessageAgo = now > last ? (now - last) / 1_000_000 : 0
        record.times.deadlineIn = record.times.deadlineIn.map(left)
        if record.times.isPinged, !hasSpoken {
            record.times.pingIn = record.times.pingIn.map(left)
        } else {
            // The pong may have come, or the time of a ping gone by: it is pinged at the usual interval.
            record.times.isPinged = false
            record.times.pingIn = record.times.pingIn.map(left).flatMap { $0 == 0 ? nil : $0 }
        }
        record.times.openedAgo = ago(record.times.openedAgo)
        record.times.lastInAgo = min(ago(record.times.lastInAgo), hasSpoken ? record.times.lastMessageAgo : .max)
        record.times.lastOutAgo = min(ago(record.times.lastOutAgo), hasHeard ? record.times.lastMessageAgo : .max)
        for index in (record.handler?.timers ?? []).indices {
            let due = record.handler?.timers[index].dueIn ?? 0
            record.handler?.timers[index].dueIn = due > nanoseconds ? due - nanoseconds : 0
        }
    }

    // MARK: Checkpoints

    private func checkpoint(
        _ offset: UInt64, in arena: Range<Int>, of id: UInt64
    ) throws(RecordError) -> StateRecord {
        guard let bytes = blob(offset, in: arena, of: id), bytes.count >= LedgerCheckpoint.header else {
            throw Self.damaged("checkpoint")
        }
        return LedgerCheckpoint.record(bytes)
    }

    // MARK: Blobs

    /// The bytes of a blob; nil where there is no whole one of the connection.
    private func blob(_ offset: UInt64, in arena: Range<Int>, of id: UInt64) -> [UInt8]? {
        guard let start = place(offset, LedgerBlob.header, in: arena), let header = Self.words(of: file, at: start, 2),
            let length = Int(exactly: header[1]), length <= Self.mostBytes,
            place(offset, LedgerBlob.header + length, in: arena) != nil,
            let bytes = Self.bytes(of: file, at: start + LedgerBlob.header, length),
            unsafe bytes.withUnsafeBytes({ unsafe LedgerBlob.sum($0, of: id) }) == header[0]
        else { return nil }
        return bytes
    }

    /// The bytes of blobs that lie one behind the other.
    private func parts(
        _ offset: UInt64, _ length: Int, in arena: Range<Int>, of id: UInt64, _ what: String
    ) throws(RecordError) -> [UInt8] {
        var bytes: [UInt8] = []
        try unsafe forEachPart(offset, length, in: arena, of: id, what) { part in
            unsafe bytes.append(contentsOf: part)
            return true
        }
        return bytes
    }

    /// - Parameter body: each blob's bytes; false when they are not what they should be.
    private func forEachPart(
        _ offset: UInt64, _ length: Int, in arena: Range<Int>, of id: UInt64, _ what: String,
        _ body: (UnsafeRawBufferPointer) -> Bool
    ) throws(RecordError) {
        guard length <= Self.mostBytes, let start = place(offset, length, in: arena),
            let run = Self.bytes(of: file, at: start, length)
        else { throw Self.damaged(what) }
        let isWhole = unsafe run.withUnsafeBytes { run in
            var rest = unsafe run[...]
            while unsafe !rest.isEmpty {
                guard let part = unsafe LedgerBlob.first(in: UnsafeRawBufferPointer(rebasing: rest), of: id),
                    unsafe body(part)
                else { return false }
                unsafe rest = rest.dropFirst(LedgerBlob.size(part.count))
            }
            return true
        }
        if !isWhole { throw Self.damaged(what) }
    }

    /// Where so many bytes lie; nil when that is not in the arena.
    private func place(_ offset: UInt64, _ count: Int, in arena: Range<Int>) -> Int? {
        guard let start = Int(exactly: offset), start % 8 == 0, arena.contains(start),
            count <= arena.upperBound - start
        else { return nil }
        return start
    }

    static func bytes(of file: borrowing FileDescriptor, at offset: Int, _ count: Int) -> [UInt8]? {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = unsafe max(0, pread(file.number, buffer.baseAddress, count, offset))
        }
        return bytes.count == count ? bytes : nil
    }
}
