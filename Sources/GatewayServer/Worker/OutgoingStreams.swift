import Synchronization
import WebSocket

/// Fragmented messages that handlers send to the connections of one worker, and whose turn it is: the one place that
/// decides which fragment follows which, for all threads.
///
/// A fragment of another thread is put into the worker's mailbox while the lock is held, so fragments come out in the
/// order in which they were taken here. The worker's own go to the connection at once, and therefore only when none of
/// other threads is still in the mailbox (`hasMail`): it reads those first.
final class OutgoingStreams: Sendable {
    private struct Stream {
        let kind: Opcode
        var utf8 = UTF8Checker()
        /// The last fragment has not been taken.
        var isOpen = true
        /// Fragments in the mailbox.
        var mail = 0
    }

    /// What becomes of a fragment.
    enum Decision {
        /// The fragment goes on the wire with this opcode: the stream has moved on.
        case takes(Opcode)
        /// Another kind than the stream's, or no UTF-8; nothing has changed.
        case invalid
        /// The connection is not open any more.
        case closed
        /// Worker only: fragments of other threads have to be read first.
        case mailAhead
    }

    private let streams = Mutex<[UInt64: Stream]>([:])

    /// Whether a whole message to the connection has to wait for the last fragment of another.
    func isOpen(_ id: ConnectionID) -> Bool { streams.withLock { $0[id.number]?.isOpen ?? false } }

    /// Whether fragments for the connection are in the mailbox.
    func hasMail(_ id: ConnectionID) -> Bool { streams.withLock { ($0[id.number]?.mail ?? 0) > 0 } }

    /// Takes a fragment of the worker's own thread, which sends it at once.
    func take(
        _ id: ConnectionID, _ kind: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, checksText: Bool,
        _ port: WorkerPort
    ) -> Decision {
        streams.withLock { streams in
            if let stream = streams[id.number], stream.mail > 0 { return .mailAhead }
            return unsafe advance(&streams, id, kind, isFinal: isFinal, payload, checksText, port, mail: 0) { _ in
                true
            }
        }
    }

    /// Takes a fragment of another thread.
    ///
    /// - Parameter post: puts it into the mailbox; says whether it did.
    func post(
        _ id: ConnectionID, _ kind: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, checksText: Bool,
        _ port: WorkerPort, _ post: (Opcode) -> Bool
    ) -> Decision {
        streams.withLock { streams in
            unsafe advance(&streams, id, kind, isFinal: isFinal, payload, checksText, port, mail: 1, post)
        }
    }

    private func advance(
        _ streams: inout [UInt64: Stream], _ id: ConnectionID, _ kind: Opcode, isFinal: Bool,
        _ payload: UnsafeRawBufferPointer, _ checksText: Bool, _ port: WorkerPort, mail: Int,
        _ queue: (Opcode) -> Bool
    ) -> Decision {
        // The owner withdraws its entry and then looks here: either it or this thread sees the other.
        port.hasStreamed.store(true, ordering: .sequentiallyConsistent)
        guard port.sharedTable.isOpen(id) else { return .closed }
        let others = streams[id.number]?.mail ?? 0
        let open = streams[id.number].flatMap { $0.isOpen ? $0 : nil }
        var stream = open ?? Stream(kind: kind)
        guard stream.kind == kind else { return .invalid }
        if kind == .text, checksText {
            guard unsafe stream.utf8.accept(payload), !isFinal || stream.utf8.isComplete else { return .invalid }
        }
        let opcode: Opcode = open == nil ? kind : .continuation
        // A message in one fragment is like any other.
        let isPart = open != nil || !isFinal
        guard queue(opcode) else { return .closed }
        stream.mail = others + (isPart ? mail : 0)
        stream.isOpen = !isFinal
        streams[id.number] = stream
        publishState(&streams, id, port)
        return .takes(opcode)
    }

    /// Worker: a fragment of another thread has left the mailbox.
    func read(_ id: ConnectionID, _ port: WorkerPort) {
        streams.withLock { streams in
            // None is left of a connection that has ended meanwhile.
            streams[id.number]?.mail -= 1
            publishState(&streams, id, port)
        }
    }

    /// Worker: the entry of the connection has been withdrawn.
    func end(_ id: ConnectionID, _ port: WorkerPort) {
        if port.hasStreamed.load(ordering: .sequentiallyConsistent) { streams.withLock { $0[id.number] = nil } }
    }

    /// The entry of the connection says whether there is a stream to look up.
    private func publishState(_ streams: inout [UInt64: Stream], _ id: ConnectionID, _ port: WorkerPort) {
        guard let stream = streams[id.number] else { return }
        let matters = stream.isOpen || stream.mail > 0
        if !matters { streams[id.number] = nil }
        port.sharedTable[id.slot].stream.store(matters ? id.serial : 0, ordering: .releasing)
    }
}
