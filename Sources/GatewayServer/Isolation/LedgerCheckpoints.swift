import Bytes
import CGatewayABI
import HandlerModules
import WebSocket

/// Has handlers save what they know of a connection (`checkpoint`), and writes that down: behind the callbacks of an
/// event and in front of its output, to hold with the entry that says of the output that it has left.
@safe final class LedgerCheckpoints {
    /// Connections that have changed since they were saved last, by how often that is.
    private struct Beat {
        let interval: UInt32
        var due: UInt32
        var slots: [UInt32] = []
    }

    private var beats: [Beat] = []
    private let sink: UnsafeMutablePointer<StateSink>

    init() {
        unsafe sink = .allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
    }

    deinit {
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
    }

    // MARK: When

    /// Has the handler save if it has been called since, or sees to it that it is asked in time.
    func saveIfDue(_ peer: ConnectionPointer, _ page: LedgerPage, on worker: Worker) {
        guard peer.pointee.phase == .open, peer.pointee.flags.contains(.opened),
            let binding = unsafe peer.pointee.binding
        else { return }
        let slot = peer.pointee.slot
        if page.places[slot].id != peer.pointee.id.number { page.start(peer) }
        let hasNone = page.places[slot].entry[.checkpoint] == 0
        guard
            hasNone || page.places[slot].flags.contains(.called)
                || page.places[slot].savedMessages != peer.pointee.messagesIn
        else { return }
        switch unsafe binding.pointee.limits.checkpoint {
        case .off: return
        // Its queue sees to that.
        case .message where peer.pointee.rareState?.callbacks != nil: return
        case .every where hasNone && peer.pointee.rareState?.callbacks != nil: return
        case .every(let ticks) where !hasNone:
            if page.places[slot].flags.contains(.waits) { return }
            page.places[slot].flags.insert(.waits)
            list(slot, every: ticks, on: worker)
        case .message, .every: unsafe save(peer, binding, page, on: worker)
        }
    }

    private func list(_ slot: UInt32, every ticks: UInt32, on worker: Worker) {
        if let index = beats.firstIndex(where: { $0.interval == ticks }) {
            if beats[index].slots.isEmpty { beats[index].due = worker.now &+ ticks }
            beats[index].slots.append(slot)
        } else {
            beats.append(Beat(interval: ticks, due: worker.now &+ ticks, slots: [slot]))
        }
        schedule(on: worker)
    }

    private func schedule(on worker: Worker) {
        let next = beats.lazy.filter { !$0.slots.isEmpty }.map(\.due).min()
        if let next { worker.timers.scheduleCheckpoints(at: max(next, worker.now &+ 1)) }
    }

    /// Has those saved whose time has come.
    func look(_ page: LedgerPage, on worker: Worker) {
        for index in beats.indices where !beats[index].slots.isEmpty && worker.now >= beats[index].due {
            let slots = beats[index].slots
            beats[index].slots.removeAll(keepingCapacity: true)
            for slot in slots {
                page.places[slot].flags.remove(.waits)
                guard let peer = worker.table.occupant(slot), peer.pointee.phase == .open,
                    let binding = unsafe peer.pointee.binding
                else { continue }
                page.touch(slot)
                unsafe save(peer, binding, page, on: worker)
            }
        }
        schedule(on: worker)
    }

    // MARK: What

    private func save(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, _ page: LedgerPage, on worker: Worker
    ) {
        let slot = peer.pointee.slot
        guard unsafe binding.pointee.handler.saveConnection != nil, unsafe !binding.pointee.has(GW_HF_STATELESS) else {
            return
        }
        // Of a message of which the handler has a part more is to be known than it saves.
        if unsafe binding.pointee.handler.fragment != nil, peer.pointee.reader.isInsideMessage { return }
        page.places[slot].flags.remove(.called)
        page.places[slot].savedMessages = peer.pointee.messagesIn
        if let callbacks = peer.pointee.rareState?.callbacks { return worker.enqueue(peer, callbacks, .checkpoint) }
        let runner = unsafe LoopRunner(worker: worker, peer: peer, binding: binding)
        guard unsafe runner.letGo(isStateless: false, into: sink), page.places[slot].id == peer.pointee.id.number else {
            return
        }
        let generation = unsafe binding.pointee.generation
        let header = LedgerCheckpoint.Header(
            version: generation.stateVersion, format: generation.stateFormat, generation: generation.number)
        unsafe write(header, UnsafeRawBufferPointer(sink.pointee.bytes.bytes), peer, page)
    }

    /// Writes what was saved on the pool.
    func write(_ saved: StateRecord, _ peer: ConnectionPointer, _ page: LedgerPage) {
        let header = LedgerCheckpoint.Header(
            version: saved.version, format: saved.format, generation: saved.generation)
        unsafe saved.data.withUnsafeBytes { unsafe write(header, $0, peer, page) }
    }

    /// Puts what was saved where the entry that holds has nothing. Where there is no room, the last one stays.
    private func write(
        _ header: LedgerCheckpoint.Header, _ state: UnsafeRawBufferPointer, _ peer: ConnectionPointer,
        _ page: LedgerPage
    ) {
        let slot = peer.pointee.slot
        let length = LedgerCheckpoint.header + state.count
        if !page.places[slot].flags.contains(.isFresh) {
            swap(&page.places[slot].checkpoint, &page.places[slot].spare)
        }
        if page.places[slot].checkpoint.size < LedgerBlob.size(length) {
            page.arena.give(back: page.places[slot].checkpoint)
            page.places[slot].checkpoint = page.arena.take(LedgerBlob.size(length)) ?? LedgerArena.Block()
        }
        let block = page.places[slot].checkpoint
        guard !block.isNone else {
            swap(&page.places[slot].checkpoint, &page.places[slot].spare)
            page.places[slot].flags.remove(.isFresh)
            page.places[slot].set(.checkpoint, UInt64(page.places[slot].checkpoint.offset))
            return
        }
        unsafe LedgerCheckpoint.write(header, state, to: page.ledger.memory, at: block.offset + LedgerBlob.header)
        LedgerBlob.seal(page.ledger.memory, at: block.offset, length: length, of: peer.pointee.id.number)
        page.places[slot].set(.checkpoint, UInt64(block.offset))
        page.places[slot].flags.insert(.isFresh)
    }
}
