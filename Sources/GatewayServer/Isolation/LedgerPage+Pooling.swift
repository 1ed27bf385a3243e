import Bytes
import WebSocket

/// Writing down what waits for the pool, and what that is done with.
extension LedgerPage {
    /// A call of the connection waits for a thread.
    func noteQueued(_ peer: ConnectionPointer, _ callbacks: CallbackQueue, _ call: CallbackQueue.Call) {
        let slot = peer.pointee.slot
        guard has(slot), let recording = callbacks.recording else { return }
        if places[slot].id != peer.pointee.id.number { start(peer) }
        let rareState = peer.pointee.ownRareState
        let calls = rareState.calls ?? QueuedCalls(recording)
        rareState.calls = calls
        calls.add(call, rareState.peerClose, of: peer.pointee.id.number, self)
        touch(slot)
    }

    /// A thread of the pool is done with a call, and has posted all that came of it before.
    func noteDone(_ callbacks: CallbackQueue, _ kind: PoolRecording.Kind, _ saved: StateRecord?, on worker: Worker) {
        guard let peer = worker.table.find(slot: callbacks.id.slot, serial: callbacks.id.serial),
            let rareState = peer.pointee.rareState, rareState.callbacks === callbacks, let calls = rareState.calls
        else { return }
        calls.finish(kind)
        if let saved { write(saved, peer) }
        touch(callbacks.id.slot)
    }

    /// A message of another thread is going to be read.
    func noteMail(_ item: WorkerMessage, on worker: Worker) {
        switch item {
        case .frame(let id, _, _), .shared(let id, _, _):
            worker.table.find(slot: id.slot, serial: id.serial)?.pointee.rareState?.calls?.noteOutput()
        default: break
        }
    }

    /// Its handler is going to take a connection over on the pool: until it has saved, what it is given holds on.
    func noteRestoring(_ peer: ConnectionPointer, _ saved: StateRecord) {
        guard has(peer.pointee.slot), let binding = unsafe peer.pointee.binding,
            unsafe binding.pointee.limits.checkpoint != .off
        else { return }
        if places[peer.pointee.slot].id != peer.pointee.id.number { start(peer) }
        write(saved, peer)
    }

    private func write(_ saved: StateRecord, _ peer: ConnectionPointer) {
        if peer.pointee.phase == .open, places[peer.pointee.slot].id == peer.pointee.id.number {
            checkpoints.write(saved, peer, self)
        }
    }

    /// Has the entry say what another process is to run, and what has come by half behind that.
    ///
    /// - Returns: false where there is no room.
    func keepCalls(_ peer: ConnectionPointer, _ calls: QueuedCalls, _ obstacle: LedgerObstacle?) -> Bool {
        if peer.pointee.phase != .open { calls.clear() }
        let isKept = peer.pointee.phase == .open && obstacle == nil
        if isKept, peer.pointee.reader.isInsideMessage {
            let bytes = unsafe UnsafeRawBufferPointer(peer.pointee.assembler.bytes)
            guard unsafe calls.keepPart(bytes, of: peer.pointee.id.number, self) else { return false }
        }
        let slot = peer.pointee.slot
        places[slot].set(.message, isKept ? UInt64(calls.place) : 0)
        places[slot].set(messageLength: isKept ? calls.count : 0)
        return true
    }
}
