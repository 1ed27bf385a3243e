import Bytes
import CGatewayABI
import CLinux
import HandlerModules
import Synchronization

/// What a callback queue notes for a ledger: what its threads have begun, and whether its handler has something new to save.
/// What they are done with they post, with what was saved then, so that the worker writes it down behind its output.
final class PoolRecording: Sendable {
    /// What is to be known of a call.
    enum Kind: UInt8 {
        /// It is written down.
        case input
        case drained
        case timer
        /// No other process can run it.
        case bound
        case other
    }

    private struct State {
        /// `open` has been called, or `restore_conn`, and `close` has not.
        var isOpen = false
        /// The handler has been given a message by half.
        var isInside = false
        /// A call has run since the handler saved.
        var isDue = false
        var hasSaved = false
    }

    private let state = Mutex(State())
    private let begunCalls = Atomic<UInt64>(0)
    private let passingCalls = Atomic<UInt64>(0)
    /// The address of how many messages have come up to the one that runs, those of former processes included.
    private let messagesAddress: UInt

    /// Where the slot of the connection lies in it.
    private let ledger: (Ledger, slot: Int)?

    /// - Parameter messages: how many there were before the first one that comes to the queue.
    init(of id: ConnectionID, in ledger: Ledger, behind messages: UInt64 = 0) {
        self.ledger = ledger.layout.slot(of: id).map { (ledger, $0) }
        let count = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        unsafe count.initialize(to: messages)
        messagesAddress = UInt(bitPattern: count)
    }

    deinit { unsafe messages.deallocate() }

    /// The call that runs, or nobody, writes.
    private var messages: UnsafeMutablePointer<UInt64> {
        guard let messages = unsafe UnsafeMutablePointer<UInt64>(bitPattern: messagesAddress) else {
            preconditionFailure("a recording without a count")
        }
        return unsafe messages
    }

    /// How many calls have begun whose end is posted.
    var begun: UInt64 { begunCalls.load(ordering: .acquiring) }
    /// How many of them are neither written down nor keep the connection where it is.
    var passing: UInt64 { passingCalls.load(ordering: .acquiring) }

    /// Before anything runs: messages that were counted elsewhere are going to come.
    func expect(_ count: UInt64) { unsafe messages.pointee &-= count }

    /// The queue: a call is going to run.
    func note(_ call: CallbackQueue.Call) {
        state.withLock { state in
            switch call {
            case .call(.open), .restore: (state.isOpen, state.isDue) = (true, true)
            case .call(.message(_, let flags, _, _)):
                (state.isInside, state.isDue) = (flags & UInt32(GW_FIN) == 0, true)
                if !state.isInside { unsafe messages.pointee &+= 1 }
            case .call(.ping), .call(.pong), .call(.drained), .call(.error), .call(.event): state.isDue = true
            case .call(.close), .drop: state.isOpen = false
            case .call(.ask), .peerClosed, .move, .save, .checkpoint: break
            }
        }
        guard let kind = call.recorded else { return }
        if kind == .input || call.restores { publish(unsafe messages.pointee << 1 | 1) }
        begunCalls.wrappingAdd(1, ordering: .releasing)
        if kind == .drained || kind == .timer { passingCalls.wrappingAdd(1, ordering: .releasing) }
    }

    /// The queue: what ran is over.
    func end(_ kind: Kind) { if kind == .input || kind == .other { publish(0) } }

    /// Where nobody is told what a process has died of, it may have been that.
    private func publish(_ message: UInt64) {
        if let ledger { ledger.0.memory.publish(message, at: ledger.slot + LedgerSlot.running) }
    }

    /// What a thread that ends the process says of the message it is at.
    var messageCount: UnsafePointer<UInt64> { unsafe UnsafePointer(messages) }

    /// The queue: whether the handler is to save before it goes on.
    ///
    /// - Parameter checkpoint: at intervals the worker asks, but for the first time.
    func saves(_ checkpoint: RouteLimits.Checkpoint) -> Bool {
        state.withLock { state in
            switch checkpoint {
            case .off: return false
            case .every where state.hasSaved: return false
            case .message, .every: break
            }
            guard state.isOpen, state.isDue, !state.isInside else { return false }
            state.isDue = false
            return true
        }
    }

    /// A thread of the pool: the handler has saved.
    func noteSaved() { state.withLock { $0.hasSaved = true } }
}

extension CallbackQueue.Call {
    fileprivate var restores: Bool { if case .restore = self { true } else { false } }

    /// What is to be known of its end; nil where nothing is, or another message tells.
    var recorded: PoolRecording.Kind? {
        switch self {
        case .call(.message), .call(.ping), .call(.pong): .input
        case .call(.drained): .drained
        case .call(.event(let event)): event.isTimer ? .timer : .bound
        case .call(.open), .call(.error), .call(.close): .bound
        case .restore, .checkpoint: .other
        case .call(.ask), .peerClosed, .move, .save, .drop: nil
        }
    }
}

extension CallbackQueue {
    /// A thread of the pool: runs some calls, and tells the worker of each that it is over.
    ///
    /// - Returns: whether there are more.
    func run(noting recording: PoolRecording) -> Bool {
        for _ in 0..<Self.batch {
            if clinux_is_ending() != 0 { return true }
            guard let call = next() else { return false }
            unsafe clinux_count_messages(recording.messageCount)
            defer { clinux_count_messages(nil) }
            guard carryOut(call) else { return false }
            let saved = saves(behind: call, recording) ? saveCheckpoint(recording) : nil
            // Behind what it has posted.
            if let kind = call.recorded {
                port.post(.poolDone(self, kind, saved))
                recording.end(kind)
            }
        }
        return true
    }

    private func saves(behind call: Call, _ recording: PoolRecording) -> Bool {
        if case .checkpoint = call { return true }
        guard unsafe binding.pointee.limits.checkpoint == .message else { return false }
        return recording.saves(.message)
    }

    /// Has the handler save what it knows of the connection.
    private func saveCheckpoint(_ recording: PoolRecording) -> StateRecord? {
        guard !isCutOff.load(ordering: .acquiring), unsafe binding.pointee.handler.saveConnection != nil,
            unsafe !binding.pointee.has(GW_HF_STATELESS)
        else { return nil }
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        var saved: StateRecord?
        if unsafe letGo(isStateless: false, into: sink) {
            saved = unsafe sink.pointee.record(by: binding.pointee.generation)
            recording.noteSaved()
        }
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
        return saved
    }
}
