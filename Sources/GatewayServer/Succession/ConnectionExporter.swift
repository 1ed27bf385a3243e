import Bytes
import CGatewayABI
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

/// Gives the connections of a worker to another process, in slices between which the worker serves.
///
///     quiet ─▶ save_conn ─▶ no sender finds it ─▶ drop_conn ─▶ record and descriptor ─▶ its slot is empty
///
/// Its peer notices nothing, and its handler hears what it hears when a connection goes to another generation. A slice
/// ends with a message of the worker to itself: an export costs a turn nothing but while it is under way.
@safe final class ConnectionExporter {
    /// So long at most is a worker busy with it before it serves again.
    private static let sliceNanoseconds: UInt64 = 500_000
    /// After so many slots the clock is asked, also when no connection in them is concerned.
    private static let slotsPerLook: UInt32 = 256
    /// So long the ones that are busy are looked at in each tick, and then at intervals.
    private static let freshTicks = TimerWheel.ticks(milliseconds: 1000)
    private static let busyInterval = TimerWheel.ticks(milliseconds: 100)
    /// How often those are looked at that cannot move.
    private static let drainInterval = TimerWheel.ticks(milliseconds: 500)
    /// How long after 1012 a peer that does not answer is cut off.
    private static let cutOffTicks = TimerWheel.ticks(milliseconds: 5000)
    /// What has no more bytes than that moves.
    private static let mostBytes = 1 << 28

    private(set) var transfer: ConnectionTransfer?
    /// A message has asked for a slice, which comes when the others have been read.
    var isDue = false
    /// The next slot to look at in this pass.
    private var cursor: UInt32 = 0
    private var remainder = ConnectionTransfer.Remainder()
    private var hasPassed = false
    private var beganAt: UInt32 = 0
    private let sink: UnsafeMutablePointer<StateSink>

    init() {
        unsafe sink = .allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
    }

    deinit {
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
    }

    /// Begins, or goes on with it.
    func ask(for transfer: ConnectionTransfer, on worker: Worker) {
        if self.transfer !== transfer {
            self.transfer = transfer
            (cursor, hasPassed, remainder) = (0, false, .init())
            beganAt = worker.now
        }
        isDue = true
    }

    /// The other process is not there any more: connections stay.
    func end(on worker: Worker) {
        worker.table.takeBackLent()
        transfer = nil
        isDue = false
    }

    /// It is time for another look, when what other threads have posted has been read.
    func lookAgain(on worker: Worker) {
        if let transfer { worker.port.post(.export(transfer)) }
    }

    /// Looks at connections for one slice.
    func look(on worker: Worker) {
        isDue = false
        guard let transfer else { return }
        let end = worker.clock() &+ Self.sliceNanoseconds
        while cursor < worker.table.used {
            // Nothing is kept for what has no room.
            guard transfer.receiver.hasRoom else { return worker.timers.scheduleExport(at: worker.now &+ 1) }
            let slot = cursor
            cursor += 1
            if let peer = worker.table.occupant(slot), peer.pointee.phase != .gone {
                if !move(peer, transfer, on: worker) { closeIfDue(peer, transfer, on: worker) }
            } else if slot % Self.slotsPerLook != 0 {
                continue
            }
            if worker.clock() >= end, cursor < worker.table.used { return worker.port.post(.export(transfer)) }
        }
        finishPass(transfer, on: worker)
    }

    private func finishPass(_ transfer: ConnectionTransfer, on worker: Worker) {
        transfer.note(remainder, of: worker.port.index, isFirst: !hasPassed)
        // A connection that waits for the end of a message is asked again at once.
        let isFresh = worker.now &- beganAt < Self.freshTicks
        let pause = remainder.busy == 0 ? Self.drainInterval : isFresh ? 1 : Self.busyInterval
        worker.timers.scheduleExport(at: worker.now &+ pause)
        hasPassed = true
        cursor = 0
        remainder = .init()
    }

    /// - Returns: whether the connection has gone.
    private func move(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        // Whoever relays it counts it.
        if transfer.keepsRelayed, peer.pointee.rareState?.relayed != nil { return false }
        guard peer.pointee.transport.isPlain, peer.pointee.transport.hasSocket,
            peer.pointee.flags.isDisjoint(with: [.surplus, .peerLeft, .inputEnded])
        else {
            remainder.bound += 1
            return false
        }
        switch peer.pointee.phase {
        case .head: return moveWaiting(peer, transfer, on: worker)
        case .open: return moveOpen(peer, transfer, on: worker)
        case .closing: return moveClosing(peer, transfer, on: worker)
        case .away: return moveAway(peer, transfer, on: worker)
        case .answering: remainder.busy += 1
        case .body, .multiplexed, .ending, .lingering: remainder.bound += 1
        case .gone: break
        }
        return false
    }

    private func moveWaiting(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        write(peer, on: worker)
        guard peer.pointee.phase == .head else { return true }
        send(peer, self.record(peer, on: worker), transfer, on: worker)
        return true
    }

    /// It is with the process of its handler, which gives it to that of the other program.
    private func moveAway(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        guard let away = peer.pointee.rareState?.away, let binding = unsafe peer.pointee.binding,
            unsafe transfer.heirs.contains(binding.pointee.route.handler)
        else {
            remainder.bound += 1
            return false
        }
        guard away.head.isEmpty else {
            remainder.busy += 1
            return false
        }
        // It waits for a process: that will be the other program's.
        if away.process == 0, let bytes = away.record, let record = try? ConnectionRecord(bytes) {
            send(peer, record, transfer, on: worker)
            return true
        }
        peer.pointee.phase = .head
        var record = self.record(peer, on: worker)
        peer.pointee.phase = .away
        record.away = unsafe AwayRecord(
            route: binding.pointee.route.name, handler: binding.pointee.route.handler, given: away.record)
        send(peer, record, transfer, on: worker)
        return true
    }

    /// Its handler hears of its end now: what is still to be said is between the peer and whoever serves it.
    private func moveClosing(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        write(peer, on: worker)
        guard peer.pointee.phase == .closing else { return true }
        guard let binding = unsafe peer.pointee.binding, peer.pointee.rareState?.peerClose == nil,
            unsafe transfer.target(of: binding) != nil, !peer.pointee.reader.snapshot.isCompressed
        else {
            remainder.bound += 1
            return false
        }
        worker.closer.sayClosed(peer, on: worker)
        guard peer.pointee.phase == .closing else { return true }
        send(peer, self.record(peer, on: worker), transfer, on: worker)
        return true
    }

    private func moveOpen(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        guard let binding = unsafe peer.pointee.binding, let target = unsafe transfer.target(of: binding),
            peer.pointee.rareState?.refusedInstance != ConnectionTransfer.instance
        else {
            remainder.unmovable += 1
            return false
        }
        write(peer, on: worker)
        if peer.pointee.phase == .gone { return true }
        guard isQuiet(peer, target, on: worker), peer.pointee.phase == .open else {
            remainder.busy += 1
            return false
        }
        let isStateless = unsafe target.isStateless && binding.pointee.has(GW_HF_STATELESS)
        if let callbacks = peer.pointee.rareState?.callbacks {
            guard callbacks.isQuiet else {
                remainder.busy += 1
                return false
            }
            askOnPool(peer, callbacks, transfer, isStateless: isStateless, on: worker)
            return false
        }
        let runner = unsafe LoopRunner(worker: worker, peer: peer, binding: binding)
        guard unsafe runner.letGo(isStateless: isStateless, into: sink) else {
            return refuse(peer, transfer)
        }
        // What the handler or another thread asked for meanwhile comes first.
        guard isQuiet(peer, target, on: worker), withdraw(peer, transfer, on: worker) else {
            remainder.busy += 1
            return false
        }
        let state = isStateless ? nil : unsafe sink.pointee.record(by: binding.pointee.generation)
        let record = unsafe openRecord(peer, binding, state, on: worker)
        runner.drop()
        send(peer, record, transfer, on: worker)
        return true
    }

    func openRecord(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, _ state: StateRecord?, on worker: Worker
    ) -> ConnectionRecord {
        worker.pubSub.deliverBatch(peer, on: worker)
        var record = self.record(peer, on: worker)
        record.handler = unsafe handlerRecord(peer, binding, on: worker)
        record.handler?.state = state
        return record
    }

    // MARK: On the pool

    /// Has the handler asked on the pool, where it may take its time; `poolSaved` brings what it says.
    private func askOnPool(
        _ peer: ConnectionPointer, _ callbacks: CallbackQueue, _ transfer: ConnectionTransfer, isStateless: Bool,
        on worker: Worker
    ) {
        remainder.busy += 1
        peer.pointee.rareState?.isMoving = true
        // What it says meanwhile is for the next one.
        peer.pointee.flags.insert(.throttled)
        worker.enqueue(peer, callbacks, .save(transfer, isStateless: isStateless))
        worker.updateInterest(peer)
    }

    func finishSave(
        _ callbacks: CallbackQueue, _ transfer: ConnectionTransfer, _ letsGo: Bool, _ state: StateRecord?,
        on worker: Worker
    ) {
        defer { callbacks.resume() }
        guard let peer = worker.table.find(slot: callbacks.id.slot, serial: callbacks.id.serial),
            peer.pointee.rareState?.callbacks === callbacks
        else { return }
        peer.pointee.rareState?.isMoving = false
        guard letsGo else {
            if transfer === self.transfer { _ = refuse(peer, transfer) }
            return worker.resumeBelowLowWater(peer)
        }
        guard transfer === self.transfer, let binding = unsafe peer.pointee.binding,
            let target = unsafe transfer.target(of: binding), peer.pointee.phase == .open,
            isQuiet(peer, target, on: worker), !callbacks.hasMore, withdraw(peer, transfer, on: worker)
        else { return worker.resumeBelowLowWater(peer) }
        let record = unsafe openRecord(peer, binding, state, on: worker)
        _ = unsafe callbacks.add(.drop, room: binding.pointee.limits.highWater)
        send(peer, record, transfer, on: worker)
    }

    private func refuse(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer) -> Bool {
        // The callback may have closed it.
        guard peer.pointee.phase == .open else { return peer.pointee.phase == .gone }
        peer.pointee.ownRareState.refusedInstance = ConnectionTransfer.instance
        transfer.refused.add(1, ordering: .relaxed)
        remainder.unmovable += 1
        return false
    }

    /// What the kernel takes now need not be told of.
    private func write(_ peer: ConnectionPointer, on worker: Worker) {
        if !peer.pointee.outbox.isEmpty, !peer.pointee.outbox.isBlocked { worker.write(peer) }
    }

    /// Between two callbacks, with nothing half delivered to the handler or half sent by it, as for a move to another
    /// generation; and with nothing on its way to it in this process.
    private func isQuiet(_ peer: ConnectionPointer, _ target: HandoverFacts, on worker: Worker) -> Bool {
        guard let binding = unsafe peer.pointee.binding else { return false }
        let (id, slot) = (peer.pointee.id, peer.pointee.slot)
        if peer.pointee.outbox.isStreaming || worker.port.sharedTable.isStreaming(id) { return false }
        if worker.port.sharedTable[slot].jobs.load(ordering: .sequentiallyConsistent) != 0 { return false }
        if worker.events.hasPending(for: id.number) { return false }
        if let rareState = peer.pointee.rareState, let callbacks = rareState.callbacks {
            // Before it is asked nothing runs; afterwards the question itself does. Input that waits is its handler's.
            if rareState.isMoving || rareState.peerClose != nil || callbacks.hasInput { return false }
        }
        if peer.pointee.outbox.count + peer.pointee.leftover.count + peer.pointee.assembler.count > Self.mostBytes {
            return false
        }
        guard peer.pointee.reader.isInsideMessage else { return true }
        // Of a message that is decompressed by half more is to be known than zlib tells.
        if peer.pointee.reader.isCompressed { return false }
        return unsafe binding.pointee.handler.fragment == nil && !target.takesFragments
    }

    /// Makes the connection closed to every sender; not while something for it waits to be read.
    private func withdraw(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) -> Bool {
        let (id, isMember) = (peer.pointee.id, peer.pointee.flags.contains(.member))
        return transfer.receiver.reserve(id.number) {
            guard !worker.mailbox.hasUnread(for: id, isMember: isMember),
                worker.port.withdraw(id, isMember: isMember)
            else { return false }
            // From here on whatever is asked of it passes by it.
            worker.port.sharedTable.clear(id.slot)
            return true
        }
    }

    // MARK: Gone

    private func send(
        _ peer: ConnectionPointer, _ record: ConnectionRecord, _ transfer: ConnectionTransfer, on worker: Worker
    ) {
        let (id, bytes) = (peer.pointee.id, record.bytes)
        worker.ledger?.give(peer, bytes, on: worker)
        let descriptor = forget(peer, on: worker)
        worker.table.lend(id.slot)
        transfer.moved.add(1, ordering: .relaxed)
        transfer.receiver.take(id.number, bytes, descriptor)
    }

    /// Empties the slot of a connection that goes on elsewhere.
    ///
    /// - Returns: its socket.
    private func forget(_ peer: ConnectionPointer, on worker: Worker) -> Int32 {
        let id = peer.pointee.id
        if peer.pointee.flags.contains(.opened) {
            worker.count(peer)
            worker.counters(peer)?.open.uncount()
            worker.counters(peer)?.moved.count()
            peer.pointee.flags.remove(.opened)
        }
        worker.pubSub.leaveTopics(peer, on: worker)
        worker.port.timers.end(.connection(id.number))
        worker.port.streams.end(id, worker.port)
        worker.port.sharedTable.withdraw(id.slot)
        worker.port.sharedTable.clear(id.slot)
        // With a duplicate elsewhere the poller would go on telling of a socket that was closed here.
        try? worker.poller.remove(peer.pointee.transport.number)
        var transport = Transport(Socket(adopting: -1))
        swap(&transport, &peer.pointee.transport)
        peer.pointee.phase = .lingering
        worker.closer.teardown(peer, on: worker)
        return transport.release()
    }

    // MARK: Left behind

    /// Time is up for connections that cannot move.
    private func closeIfDue(_ peer: ConnectionPointer, _ transfer: ConnectionTransfer, on worker: Worker) {
        // The process of its handler sends it away.
        if peer.pointee.phase == .away { return }
        let isClosing = unsafe peer.pointee.binding.map { unsafe transfer.closes($0.pointee.route.name) } ?? false
        let drainTimeout = unsafe peer.pointee.binding?.pointee.limits.drainTimeout
        let patience = isClosing ? 0 : drainTimeout ?? transfer.patience
        // At the end of their time, or from now on where they have none.
        let spread = patience == 0 ? transfer.spread : min(transfer.spread, patience / 4)
        let firstEnd = beganAt &+ max(1, patience &- min(spread, patience))
        // The slot spreads the peers evenly.
        let closeAt = firstEnd &+ (peer.pointee.slot &* 2_654_435_761) % max(1, spread)
        guard worker.now >= closeAt, peer.pointee.phase != .gone else { return }
        switch peer.pointee.phase {
        case .open:
            transfer.closed.add(1, ordering: .relaxed)
            worker.counters(peer)?.abandoned.count()
            worker.closer.beginClosing(
                peer, code: CloseCode.serviceRestart, reason: Array(transfer.reason.utf8),
                by: UInt16(GW_BY_RELOAD), on: worker)
        case .multiplexed: worker.http2.shutDown(peer)
        case .head, .body, .answering, .away, .closing, .ending, .lingering, .gone: break
        }
        // What carries others is there until the last of them has been told.
        let lastEnd = peer.pointee.phase == .multiplexed ? firstEnd &+ spread : closeAt
        if worker.now >= lastEnd &+ Self.cutOffTicks { worker.closer.teardown(peer, on: worker) }
    }
}
