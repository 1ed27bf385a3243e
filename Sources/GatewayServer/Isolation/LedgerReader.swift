import CLinux
import GatewayIO
import Glibc

/// Reads what a process that has died has left in its ledger, without believing any of it: whatever stands there, a
/// connection goes on as it was written down whole, or not at all.
///
/// It copies what it looks at before it looks, so that nobody who still has the file changes it under its eyes.
final class LedgerReader: Sendable {
    let file: FileDescriptor
    let layout: LedgerLayout
    /// Nanoseconds of the monotonic clock at which ticks begin.
    let start: UInt64
    /// What ended the process.
    private let last: LastCallback?

    /// A callback that a process ended in.
    private struct LastCallback {
        let isMessage: Bool
        let isRestoring: Bool
        let connection: UInt64
        /// How many messages the connection had been given, that one included.
        let messages: UInt64
    }

    /// What a worker was at.
    private struct Work {
        let isReading: Bool
        let isWriting: Bool
        /// What it had read that the entry of the connection does not say.
        let input: [UInt8]
    }

    /// - Throws: EINVAL when the file is no ledger.
    init(_ descriptor: borrowing FileDescriptor) throws(Errno) {
        let copy = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw Errno.last }
        file = FileDescriptor(adopting: copy)
        layout = try Ledger.layout(of: file)
        start = Self.words(of: file, at: LedgerLayout.startAt, 1)?[0] ?? 0
        let note = Self.words(of: file, at: LedgerLayout.lastCallbackAt, 3) ?? [0, 0, 0]
        last =
            note[0] == 0 || note[1] == 0
            ? nil
            : LastCallback(
                isMessage: note[0] == UInt64(CLINUX_MESSAGE.rawValue),
                isRestoring: note[0] == UInt64(CLINUX_RESTORE_CONN.rawValue), connection: note[1], messages: note[2])
    }

    /// What became of a connection.
    ///
    /// - Parameter now: nanoseconds of the monotonic clock, from which the spans of its record count.
    func finding(of id: ConnectionID, at now: UInt64 = Clock.monotonicNanoseconds()) -> LedgerFinding {
        let hasDied = last?.connection == id.number
        let entry: LedgerEntry
        switch find(id) {
        case .none:
            return hasDied || last == nil && isRestoring(id) ? .arriving(isCertain: hasDied) : .absent
        case .damaged: return hasDied ? .died(nil) : .lost("its entry is damaged", nil)
        case .entry(let found): entry = found
        }
        if entry.state.contains(.isGiven) { return given(entry, at: now) }
        if entry.state.contains(.isGone) { return hasDied ? .died(nil) : .gone }
        guard let work = work(on: entry) else { return hasDied ? .died(nil) : .lost("its worker is unknown", nil) }
        let obstacle = entry.state.obstacle
        if work.isWriting || !(obstacle?.leavesRecord ?? true) {
            if hasDied { return .died(nil) }
            return .lost(work.isWriting ? "its output was being written" : obstacle?.sentence ?? "", nil)
        }
        let record: ConnectionRecord
        do throws(RecordError) {
            let isOver = hasDied || work.isReading || entry.state.contains(.isInside) || obstacle != nil
            record = try self.record(entry, input: isOver ? [] : work.input, at: now)
        } catch {
            return hasDied ? .died(nil) : .lost("what is written of it is damaged: \(error)", nil)
        }
        if hasDied { return .died(record) }
        if work.isReading { return .lost("what it had said was being read", record) }
        if entry.state.contains(.isInside) { return .lost("a callback of it was running", record) }
        if let obstacle { return .lost(obstacle.sentence, record) }
        return .goesOn(record)
    }

    private func given(_ entry: LedgerEntry, at now: UInt64) -> LedgerFinding {
        do throws(RecordError) {
            return .given(try givenRecord(entry, at: now))
        } catch {
            return .lost("what was given of it is damaged: \(error)", nil)
        }
    }

    /// The process died while the handler took the connection over, on the pool.
    func diedRestoring(_ id: ConnectionID) -> Bool { last?.connection == id.number && last?.isRestoring ?? false }

    /// How a connection goes on without the message that the process died of: with those before it, of which it had been
    /// told nothing, and those behind it.
    ///
    /// - Returns: nil where the process did not die of a message of it, or too much has come of that.
    func resumption(of id: ConnectionID, at now: UInt64 = Clock.monotonicNanoseconds()) -> ConnectionRecord? {
        guard let last, last.isMessage, last.connection == id.number, case .entry(let entry) = find(id),
            entry.state.isDisjoint(with: [.isInside, .isGone, .isGiven]), entry.state.obstacle == nil,
            let work = work(on: entry), !work.isReading, !work.isWriting,
            let record = try? record(entry, input: work.input, at: now), record.phase == .open
        else { return nil }
        let number = last.messages &- (entry[.messagesIn] &- record.input.queuedMessages)
        return record.withoutMessage(number)
    }

    /// Nobody knows what the process died of, and a thread of the pool was at what the connection is to be given again, or
    /// at having it restored.
    func suspects(_ record: ConnectionRecord) -> Bool {
        guard last == nil, let place = layout.slot(of: ConnectionID(record.id)),
            let running = Self.words(of: file, at: place + LedgerSlot.running, 1)?[0]
        else { return false }
        let handled = record.handledMessages
        return running == handled << 1 | 1 || running == (handled &+ 1) << 1 | 1
    }

    // MARK: What is there

    enum Found {
        case none
        case damaged
        case entry(LedgerEntry)
    }

    func find(_ id: ConnectionID) -> Found {
        guard let place = layout.slot(of: id) else { return .none }
        guard let slot = Self.words(of: file, at: place, LedgerSlot.size / 8) else { return .damaged }
        // Nothing was ever written there.
        guard let entry = LedgerSlot.read(slot) else { return slot[0] == 0 ? .none : .damaged }
        return entry[.id] == id.number ? .entry(entry) : .none
    }

    /// Its handler was at taking it over, of which it may have died: nothing but that is known of a process that was killed.
    private func isRestoring(_ id: ConnectionID) -> Bool {
        guard id.worker < layout.workers else { return false }
        return Self.words(of: file, at: layout.restoring(id.worker), 1) == [id.number]
    }

    private func work(on entry: LedgerEntry) -> Work? {
        let worker = ConnectionID(entry[.id]).worker
        guard let words = Self.words(of: file, at: layout.reading(worker), 5) else { return nil }
        // With an entry that says of it already it is the rest of an event that is over.
        let isInput =
            words[2] == entry[.id] && words[3] == entry[.bytesIn] && words[4] <= UInt64(LedgerLayout.inputRoom)
        let input = isInput ? Self.bytes(of: file, at: layout.inputBytes(worker), Int(words[4])) : []
        guard let input else { return nil }
        return Work(isReading: words[0] == entry[.id], isWriting: words[1] == entry[.id], input: input)
    }

    /// Words of the file; nil where there are not so many.
    static func words(of file: borrowing FileDescriptor, at offset: Int, _ count: Int) -> [UInt64]? {
        var words = [UInt64](repeating: 0, count: count)
        let read = unsafe words.withUnsafeMutableBytes { unsafe pread(file.number, $0.baseAddress, $0.count, offset) }
        return read == count * 8 ? words : nil
    }
}
