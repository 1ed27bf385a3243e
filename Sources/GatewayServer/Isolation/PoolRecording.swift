import CGatewayABI
import HandlerModules
import Synchronization

/// What a callback queue notes for a ledger: whether its handler has something new to save, and when nothing of it runs
/// any more, so that the worker writes the connection down as it is then.
final class PoolRecording: Sendable {
    private struct State {
        /// `open` has been called, or `restore_conn`, and `close` has not.
        var isOpen = false
        /// The handler has been given a message by half.
        var isInside = false
        /// A call has run since the handler saved.
        var isDue = false
        /// One has run since the queue was at rest.
        var hasRun = false
        var hasSaved = false
        var rests: UInt64 = 0
        /// What the worker has not taken yet.
        var saved: StateRecord?
    }

    private let state = Mutex(State())

    /// The queue: a call is going to run.
    func note(_ call: CallbackQueue.Call) {
        state.withLock { state in
            state.hasRun = true
            switch call {
            case .call(.open), .restore: (state.isOpen, state.isDue) = (true, true)
            case .call(.message(_, let flags, _, _)):
                (state.isInside, state.isDue) = (flags & UInt32(GW_FIN) == 0, true)
            case .call(.ping), .call(.pong), .call(.drained), .call(.error), .call(.event): state.isDue = true
            case .call(.close), .drop: state.isOpen = false
            case .call(.ask), .peerClosed, .move, .save, .checkpoint: break
            }
        }
    }

    /// The queue: whether the handler is to save before it rests.
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

    /// A thread of the pool: what the handler has saved.
    func keep(_ saved: StateRecord) {
        state.withLock { state in
            (state.saved, state.hasSaved) = (saved, true)
        }
    }

    /// The queue has nothing more.
    ///
    /// - Returns: the number of this rest; nil when nothing has run since the last one.
    func rest() -> UInt64? {
        state.withLock { state in
            guard state.hasRun else { return nil }
            state.hasRun = false
            state.rests += 1
            return state.rests
        }
    }

    /// The worker: whether nothing has run since a rest.
    func isLast(_ rest: UInt64) -> Bool { state.withLock { $0.rests == rest && !$0.hasRun } }

    /// The worker.
    func takeSaved() -> StateRecord? {
        state.withLock { state in
            defer { state.saved = nil }
            return state.saved
        }
    }
}

extension CallbackQueue {
    /// Has the handler save what it knows of the connection.
    func saveCheckpoint() {
        guard !isCutOff.load(ordering: .acquiring), unsafe binding.pointee.handler.saveConnection != nil,
            unsafe !binding.pointee.has(GW_HF_STATELESS)
        else { return }
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        if unsafe letGo(isStateless: false, into: sink) {
            unsafe recording?.keep(sink.pointee.record(by: binding.pointee.generation))
        }
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
    }
}
