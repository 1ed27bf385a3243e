import Bytes
import CGatewayABI

/// What a worker knows of the calls of one connection that wait for the pool or run there, and where it has written down
/// those that another process can run. The worker's own.
///
///     [ done with ][ part ][ ping ][ part ][ message ][ message ][ part ]
///                  ▲ `start`                                     ▲ `end`
///
/// Each is a blob (`QueuedInput`). Those of a message that comes piece by piece are written as it comes, with control frames
/// among them; what has been done with behind a part whose message has not is `skipped`.
final class QueuedCalls {
    private struct Element {
        let bytes: Int
        /// Parts lie in front of it.
        let hasParts: Bool
        let isMessage: Bool
        let endsMessage: Bool
    }

    /// What the threads of the pool say of their calls.
    private let recording: PoolRecording
    private var elements = Fifo<Element>()
    private var block = LedgerArena.Block()
    private var (start, end) = (0, 0)
    /// The entry that holds may point there until the next one does.
    private var former: [LedgerArena.Block] = []
    /// Bytes from the end of the last element on: parts of the message that has come by half.
    private var partBytes = 0
    /// How much of it they have.
    private(set) var partCount = 0
    /// An entry may point there.
    private var isReferenced = false
    private(set) var skipped = 0
    private var skippedBytes = 0

    /// Calls that no other process can run: `open`, posts, ends of jobs.
    private var bound = 0
    /// `drained`, which another process calls as well.
    private(set) var drains = 0
    /// There was no room for one of those that wait.
    private var isLost = false
    /// The handler has been given a message by half.
    private var isInside = false
    /// Other threads have sent to the peer while a call ran: perhaps that was it.
    private var isAnswered = false
    private var done: UInt64 = 0
    private var passingDone: UInt64 = 0

    init(_ recording: PoolRecording) { self.recording = recording }

    // MARK: What stands in the way

    var obstacle: LedgerObstacle? {
        if isLost { return .tooMuchQueued }
        if isInside { return .halfDelivered }
        return bound > 0 || isAnswered || recording.passing != passingDone ? .pool : nil
    }

    /// Nothing is written down that another process is to run.
    var isEmpty: Bool { start == end }
    /// Where it lies in the file; 0 for nowhere.
    var place: Int { isEmpty ? 0 : block.offset + start }
    var count: Int { end - start }

    /// The next entry, which is published at once, says where it lies, or that there is nothing.
    func commit(isReferenced: Bool, _ page: LedgerPage) {
        self.isReferenced = isReferenced
        for block in former { page.retire(block) }
        former.removeAll()
    }

    /// Output for the peer comes from another thread than the worker.
    func noteOutput() { if recording.begun != done { isAnswered = true } }

    // MARK: Calls

    /// A call waits for the pool from now on.
    ///
    /// - Parameter peerClose: the body of the peer's Close.
    func add(_ call: CallbackQueue.Call, _ peerClose: [UInt8]?, of id: UInt64, _ page: LedgerPage) {
        switch call {
        case .call(.message(let kind, let flags, let bytes, let receivedAt)):
            add(QueuedInput(kind: .message, type: kind, flags: flags, receivedAt: receivedAt, payload: bytes), id, page)
        case .call(.ping(let bytes)): add(QueuedInput(kind: .ping, payload: bytes), id, page)
        case .call(.pong(let bytes)): add(QueuedInput(kind: .pong, payload: bytes), id, page)
        case .peerClosed: add(QueuedInput(kind: .close, payload: peerClose ?? []), id, page)
        case .call(.drained): drains += 1
        case .call(.event(let event)) where event.isTimer: break
        case .call(.open), .call(.event), .call(.error), .call(.close): bound += 1
        case .call(.ask), .move, .save, .drop, .restore, .checkpoint: break
        }
    }

    private func add(_ input: QueuedInput, _ id: UInt64, _ page: LedgerPage) {
        let isMessage = input.kind == .message
        let known = isMessage ? min(partCount, input.payload.count) : 0
        if elements.count >= QueuedInput.most { isLost = true }
        if !isLost {
            isLost = unsafe input.payload.withUnsafeBytes {
                unsafe !append(input, UnsafeRawBufferPointer(rebasing: $0[known...]), id, page)
            }
        }
        elements.append(
            Element(
                bytes: partBytes, hasParts: partBytes > Self.size(input, without: known), isMessage: isMessage,
                endsMessage: input.endsMessage))
        partBytes = 0
        if isMessage { partCount = 0 }
    }

    private static func size(_ input: QueuedInput, without known: Int) -> Int {
        LedgerBlob.size(QueuedInput.header + input.payload.count - known)
    }

    /// More of a message has come that is not whole.
    ///
    /// - Parameter bytes: all that has come of it.
    /// - Returns: false where there is no room.
    func keepPart(_ bytes: UnsafeRawBufferPointer, of id: UInt64, _ page: LedgerPage) -> Bool {
        guard bytes.count > partCount else { return true }
        let more = unsafe UnsafeRawBufferPointer(rebasing: bytes[partCount...])
        guard unsafe append(QueuedInput(kind: .part), more, id, page) else { return false }
        partCount = bytes.count
        return true
    }

    /// A thread of the pool is done with the next call of a kind.
    func finish(_ kind: PoolRecording.Kind) {
        done &+= 1
        isAnswered = false
        switch kind {
        case .input: finishInput()
        case .drained:
            drains -= 1
            passingDone &+= 1
        case .timer: passingDone &+= 1
        case .bound: bound -= 1
        case .other: break
        }
    }

    private func finishInput() {
        guard let element = elements.popFirst() else { return }
        if element.isMessage {
            isInside = !element.endsMessage
            start += skippedBytes + element.bytes
            (skipped, skippedBytes) = (0, 0)
        } else if element.hasParts || skippedBytes > 0 {
            skipped += 1
            skippedBytes += element.bytes
        } else {
            start += element.bytes
        }
        // What was lost is over.
        if elements.isEmpty, isLost { clear() }
    }

    /// The connection ends, or none of it is to be known any more.
    func clear() {
        retire()
        (start, end, partBytes, partCount, skipped, skippedBytes) = (0, 0, 0, 0, 0, 0)
        (isReferenced, isLost) = (false, false)
        elements = Fifo()
    }

    private func retire() {
        if !block.isNone { former.append(block) }
        block = LedgerArena.Block()
    }

    // MARK: Where they lie

    /// More than that is not kept of one connection.
    private static let mostBytes = 1 << 30
    private static let leastBlock = 1024
    /// A larger block is not kept for what comes later.
    private static let mostSpare = 1 << 16

    /// Puts a blob behind the others. What the entry that holds has of them stays as it is.
    ///
    /// - Returns: false where there is no room.
    private func append(
        _ input: QueuedInput, _ payload: UnsafeRawBufferPointer, _ id: UInt64, _ page: LedgerPage
    ) -> Bool {
        let length = QueuedInput.header + payload.count
        let size = LedgerBlob.size(length)
        guard count + size <= Self.mostBytes, makeRoom(size, page) else { return false }
        let (ledger, offset) = (page.ledger, block.offset + end)
        let (first, second) = input.words
        ledger.memory.store(first, at: offset + LedgerBlob.header)
        ledger.memory.store(second, at: offset + LedgerBlob.header + 8)
        unsafe ledger.memory.write(payload, at: offset + LedgerBlob.header + QueuedInput.header)
        LedgerBlob.seal(ledger.memory, at: offset, length: length, of: id)
        end += size
        partBytes += size
        return true
    }

    private func makeRoom(_ size: Int, _ page: LedgerPage) -> Bool {
        if isEmpty, !isReferenced {
            (start, end) = (0, 0)
            if block.size > Self.mostSpare, size <= Self.mostSpare {
                retire()
            }
        }
        if block.size - end >= size { return true }
        let kept = count
        guard let next = page.arena.take(max(2 * kept + size, Self.leastBlock)) else { return false }
        if kept > 0 {
            let ledger = page.ledger
            unsafe ledger.memory.write(
                ledger.memory.bytes(block.offset + start..<block.offset + end), at: next.offset)
        }
        retire()
        (block, start, end) = (next, 0, kept)
        return true
    }
}
