import Bytes
import CLinux
import GatewayIO
import Synchronization

/// What one worker writes into a ledger, on its own thread.
///
///     event ─▶ callbacks ─▶ checkpoint ─▶ output ─▶ entry, one store ─▶ the same for whom else it concerned ─▶ event
///
/// Behind each event of a connection what it has led to leaves and is written down, before the next one begins: what the
/// process dies of in a callback is then no other connection's business.
@safe final class LedgerPage {
    let ledger: Ledger
    private let worker: Int
    private let slots: Int
    var arena: LedgerArena
    let places: ReservedArray<LedgerPlace>
    /// Blocks that are free as soon as no entry that holds has them.
    private var retired: [LedgerArena.Block] = []
    /// Slots to be looked at when the event is over, some of them more than once.
    private var touched: [UInt32] = []
    /// The connection whose event this is.
    private var current: UInt32?
    /// What has been read of it.
    private var input: LedgerInput
    /// The event is over, but for what follows from it.
    private var isSettling = false
    /// The connection whose output was given to the kernel, as its entry does not say yet.
    private var written: UInt32?
    let checkpoints = LedgerCheckpoints()

    /// - Returns: nil when there is no memory for it.
    init?(_ ledger: Ledger, _ worker: Int) {
        guard let places = ReservedArray<LedgerPlace>(capacity: ledger.layout.capacity),
            let first = ledger.layout.slot(of: ConnectionID(worker: UInt8(worker), slot: 0, serial: 0))
        else { return nil }
        self.ledger = ledger
        self.worker = worker
        self.places = places
        slots = first
        arena = LedgerArena(ledger.layout.arena(worker))
        input = LedgerInput(ledger, worker)
    }

    func has(_ slot: UInt32) -> Bool { Int(slot) < places.capacity }

    // MARK: Events

    /// An event of a connection begins.
    ///
    /// - Parameter reads: input of it is taken from the kernel.
    func begin(_ peer: ConnectionPointer, reads: Bool = false) {
        let slot = peer.pointee.slot
        guard has(slot) else { return }
        current = slot
        touch(slot)
        unsafe clinux_count_messages(peer.messageCount)
        if reads { input.begin(peer) }
    }

    /// A connection comes from another process. It may have been here before.
    func arrive(_ peer: ConnectionPointer) {
        guard has(peer.pointee.slot) else { return }
        if places[peer.pointee.slot].entry.state.hasLeft { start(peer) }
        ledger.memory.publish(peer.pointee.id.number, at: ledger.layout.restoring(worker))
        begin(peer)
    }

    /// Its handler has taken it over, or has not.
    func settleArrival(on worker: Worker) {
        settle(on: worker)
        ledger.memory.publish(0, at: ledger.layout.restoring(self.worker))
    }

    /// More of the same connection is read.
    func readOn(_ peer: ConnectionPointer, on worker: Worker) {
        commitWritten(on: worker)
        if current == peer.pointee.slot { input.begin(peer) }
    }

    /// Bytes that have been read of it, before anybody changes them.
    func noteRead(
        _ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer,
        then more: UnsafeRawBufferPointer = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        if current == peer.pointee.slot { unsafe input.keep(peer, bytes, then: more) }
    }

    /// An event is over: what it has led to leaves, and is written down.
    func settle(on worker: Worker) {
        isSettling = true
        defer { isSettling = false }
        if worker.port.changes.hasSome { noteChanges(on: worker) }
        if let slot = current {
            if let peer = worker.table.occupant(slot) { finish(peer, on: worker) }
            current = nil
            clinux_count_messages(nil)
            input.end()
        }
        repeat {
            worker.flushDirty()
            saveTouched(on: worker)
        } while worker.hasOutput
        if worker.port.changes.hasSome { noteChanges(on: worker) }
        commitTouched(on: worker)
    }

    /// It is time for checkpoints.
    func look(on worker: Worker) {
        checkpoints.look(self, on: worker)
        settle(on: worker)
    }

    private func finish(_ peer: ConnectionPointer, on worker: Worker) {
        if peer.pointee.flags.contains(.dirty) {
            worker.flush(peer)
            worker.updateInterest(peer)
        } else {
            checkpoints.saveIfDue(peer, self, on: worker)
        }
        commit(peer, on: worker)
    }

    private func saveTouched(on worker: Worker) {
        var index = 0
        while index < touched.count {
            if let peer = worker.table.occupant(touched[index]) { checkpoints.saveIfDue(peer, self, on: worker) }
            index += 1
        }
    }

    /// What other threads have changed.
    private func noteChanges(on worker: Worker) {
        for number in worker.port.changes.take() {
            let id = ConnectionID(number)
            guard let peer = worker.table.find(slot: id.slot, serial: id.serial) else { continue }
            noteChange(peer)
            // Perhaps a call that runs has: what it has led to is not to be there twice.
            peer.pointee.rareState?.calls?.noteOutput()
        }
    }

    private func commitTouched(on worker: Worker) {
        for slot in touched where places[slot].flags.contains(.touched) {
            if let peer = worker.table.occupant(slot) {
                commit(peer, on: worker)
            } else {
                places[slot].flags.remove(.touched)
            }
        }
        touched.removeAll(keepingCapacity: true)
        commitWritten(on: worker)
    }

    // MARK: The end of the process

    /// The worker runs: what it is at comes to an end before the process does.
    func join(on worker: Worker) {
        if !ledger.noteEndings() { worker.server.log.warn("what a callback ends will not be known: \(Errno.last)") }
        clinux_join_endings(worker.port.waker.number)
    }

    /// A callback of another thread has ended the process: what was promised leaves, and nothing else is begun.
    func restIfEnding(on worker: Worker) {
        if clinux_is_ending() == 0 { return }
        // What others are at on the pool is over by then, or is given to the next process once more.
        clinux_await_tasks()
        finishTurn(on: worker)
        clinux_rest()
    }

    /// Has everything leave that callbacks have asked for which are over, and calls no handler.
    func finishTurn(on worker: Worker) {
        worker.mailbox.readLast(on: worker)
        worker.pubSub.closeBatch(isTurnOver: true, on: worker)
        for slot in worker.dirty {
            guard let peer = worker.table.occupant(slot), peer.pointee.phase != .gone, has(slot) else { continue }
            if !peer.pointee.outbox.isBlocked { worker.write(peer) }
            touch(slot)
        }
        if worker.port.changes.hasSome { noteChanges(on: worker) }
        commitTouched(on: worker)
    }

    // MARK: What has changed

    /// Something has changed that an entry says by itself.
    func touch(_ peer: ConnectionPointer) { if has(peer.pointee.slot) { touch(peer.pointee.slot) } }

    func touch(_ slot: UInt32) {
        guard !places[slot].flags.contains(.touched) else { return }
        places[slot].flags.insert(.touched)
        touched.append(slot)
    }

    /// Something that the record says of a connection has changed: topics, timers, whether it is read from.
    func noteChange(_ peer: ConnectionPointer) {
        guard has(peer.pointee.slot) else { return }
        places[peer.pointee.slot].flags.insert(.stale)
        touch(peer.pointee.slot)
    }

    /// A callback that is no message is called.
    func noteCall(_ peer: ConnectionPointer, on worker: Worker) {
        guard has(peer.pointee.slot) else { return }
        places[peer.pointee.slot].flags.insert(.called)
        touch(peer.pointee.slot)
        commitWritten(on: worker)
    }

    // MARK: Output

    /// Gives what is queued to the kernel, behind a checkpoint of what it tells.
    func flush(_ peer: ConnectionPointer, on worker: Worker) {
        if has(peer.pointee.slot) {
            if written != peer.pointee.slot { commitWritten(on: worker) }
            checkpoints.saveIfDue(peer, self, on: worker)
            touch(peer.pointee.slot)
        }
        if peer.pointee.outbox.isBlocked { return }
        beginWriting(peer, on: worker)
        worker.writeQueue(peer)
    }

    /// From here on the kernel may have taken more of a connection's output than its entry says.
    func beginWriting(_ peer: ConnectionPointer, on worker: Worker) {
        let slot = peer.pointee.slot
        guard written != slot, has(slot) else { return }
        commitWritten(on: worker)
        written = slot
        ledger.memory.publish(peer.pointee.id.number, at: ledger.layout.writing(self.worker))
    }

    /// Writes down what has left, in the midst of an event.
    func commitWritten(on worker: Worker) {
        guard let slot = written else { return }
        if let peer = worker.table.occupant(slot) { commit(peer, on: worker) }
        endWriting(slot)
    }

    private func endWriting(_ slot: UInt32) {
        guard written == slot else { return }
        written = nil
        ledger.memory.publish(0, at: ledger.layout.writing(worker))
    }

    /// Whether a callback of the connection may be running, or has been, whose state nobody has saved.
    func isInside(_ peer: ConnectionPointer, on worker: Worker) -> Bool {
        worker.running.peer?.pointee.slot == peer.pointee.slot || (current == peer.pointee.slot && !isSettling)
    }

    // MARK: Entries

    /// Makes the entry of a slot the one that holds.
    func publish(_ slot: UInt32) {
        let memory = slots + Int(slot) * LedgerSlot.size
        let sequence = places[slot].sequence &+ 1
        let start = memory + LedgerSlot.entry(sequence)
        if places[slot].agreeing == 0 { places[slot].sumOfRest = places[slot].entry.sumOfRest }
        if places[slot].agreeing < 2 {
            places[slot].agreeing += 1
            for index in 0..<LedgerEntry.count where !LedgerEntry.counts.contains(index) {
                ledger.memory.store(places[slot].entry[index], at: start + index * 8)
            }
        }
        for index in LedgerEntry.counts { ledger.memory.store(places[slot].entry[index], at: start + index * 8) }
        let sum = places[slot].entry.sumOfCounts &+ places[slot].sumOfRest &+ LedgerEntry.term(ofSequence: sequence)
        ledger.memory.store(sum, at: start + LedgerEntry.count * 8)
        ledger.memory.publish(sequence, at: memory)
        places[slot].sequence = sequence
        places[slot].flags.remove(.isFresh)
        endWriting(slot)
        if !retired.isEmpty { freeRetired() }
    }

    /// Has a block given back once no entry has it.
    func retire(_ block: LedgerArena.Block) { if !block.isNone { retired.append(block) } }

    /// Blocks of so many bytes give their memory back.
    private static let largeBlock = 256 * 1024

    private func freeRetired() {
        for block in retired {
            if block.size >= Self.largeBlock { ledger.memory.discard(block.range) }
            arena.give(back: block)
        }
        retired.removeAll(keepingCapacity: true)
    }

    /// The connection has ended.
    func leave(_ peer: ConnectionPointer) {
        guard has(peer.pointee.slot) else { return }
        if places[peer.pointee.slot].id == peer.pointee.id.number, places[peer.pointee.slot].entry.state.hasLeft {
            return
        }
        leave(peer, as: LedgerEntry(leaving: peer, .isGone), record: LedgerArena.Block())
    }

    /// The connection goes on in the next process. Should that one die before it has it, this is all that is left of it.
    ///
    /// - Parameter record: as it goes there.
    func give(_ peer: ConnectionPointer, _ record: [UInt8], on worker: Worker) {
        guard has(peer.pointee.slot) else { return }
        guard let block = makeRecord(record, of: peer.pointee.id.number, on: worker) else { return leave(peer) }
        var entry = LedgerEntry(leaving: peer, .isGiven)
        entry[.record] = UInt64(block.offset)
        leave(peer, as: entry, record: block)
    }

    private func leave(_ peer: ConnectionPointer, as entry: LedgerEntry, record: LedgerArena.Block) {
        let slot = peer.pointee.slot
        if places[slot].id != peer.pointee.id.number { start(peer) }
        for block in [
            places[slot].record, places[slot].checkpoint, places[slot].spare, places[slot].message, places[slot].output,
        ] { retire(block) }
        if let calls = peer.pointee.rareState?.calls {
            calls.clear()
            calls.commit(isReferenced: false, self)
        }
        let (sequence, isTouched) = (places[slot].sequence, places[slot].flags.intersection([.touched, .waits]))
        places[slot] = LedgerPlace()
        (places[slot].sequence, places[slot].flags, places[slot].entry) = (sequence, isTouched, entry)
        (places[slot].id, places[slot].record) = (peer.pointee.id.number, record)
        publish(slot)
    }

    /// A connection has come to the slot.
    func start(_ peer: ConnectionPointer) {
        let slot = peer.pointee.slot
        // That of a connection which was given away.
        retire(places[slot].record)
        let (sequence, flags) = (places[slot].sequence, places[slot].flags.intersection([.touched, .waits]))
        places[slot] = LedgerPlace()
        (places[slot].sequence, places[slot].flags) = (sequence, flags)
        places[slot].id = peer.pointee.id.number
        places[slot].entry[.id] = peer.pointee.id.number
        places[slot].flags.insert(.stale)
    }
}
