import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

/// How far a worker has come with one hand-over.
struct HandoverProgress {
    let handover: Handover
    /// The next slot to look at in this pass.
    var cursor: UInt32 = 0
    /// Connections met in this pass that are still with the old binding.
    var remaining = 0
    /// Remaining ones that may move as soon as they are quiet.
    var movable = 0
    /// Remaining ones whose handlers are handing them over on the pool just now.
    var moving = 0
    /// The first pass is over.
    var hasPassed = false
    /// No pass before this tick.
    var notBefore: UInt32 = 0
    /// When a connection that is left is closed with 1012; it is cut off `cutOffMilliseconds` later.
    let closeAt: UInt32

    init(_ handover: Handover, now: UInt32) {
        self.init(handover, closeAt: now &+ max(1, handover.patience))
    }

    init(_ handover: Handover, closeAt: UInt32) {
        self.handover = handover
        self.closeAt = closeAt
    }
}

/// Hands the connections of a worker over to the next generation, in slices between which the worker serves.
@safe final class ConnectionMigrator {
    private var handovers: [HandoverProgress] = []
    private let sink: UnsafeMutablePointer<StateSink>

    init() {
        unsafe sink = .allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
    }

    deinit {
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
    }

    /// So long at most is a worker busy with handing over before it serves again.
    private static let sliceNanoseconds: UInt64 = 500_000
    /// How long after 1012 a peer that does not answer is cut off.
    private static let cutOffMilliseconds: Int64 = 5000
    /// How often those are looked at that only wait for their time.
    private static let drainInterval = TimerWheel.ticks(milliseconds: 500)
    /// After so many slots the clock is asked, also when no connection in them is concerned.
    private static let slotsPerLook: UInt32 = 256
    /// `close` spreads its connections over so many ticks at most.
    private static let closeSpread = TimerWheel.ticks(milliseconds: 10_000)

    func begin(_ handover: Handover, on worker: Worker) {
        // A newer generation takes over whatever an older hand-over has not moved yet, on the older one's schedule.
        var progress = HandoverProgress(handover, now: worker.now)
        if let index = handovers.firstIndex(where: { $0.handover.hasSameSource(as: handover) }) {
            let older = handovers.remove(at: index)
            if older.closeAt < progress.closeAt, older.handover.kind != .swap {
                progress = HandoverProgress(handover, closeAt: older.closeAt)
            }
            notePass(older)
        }
        handovers.append(progress)
    }

    private func notePass(_ progress: HandoverProgress) {
        if progress.hasPassed { return }
        progress.handover.passed.add(1, ordering: .releasing)
        progress.handover.progress.ring()
    }

    /// Goes on with hand-overs for one slice.
    func continueHandovers(on worker: Worker) {
        if handovers.isEmpty { return }
        let began = worker.clock()
        var index = 0
        while index < handovers.count {
            if handovers[index].notBefore > worker.now {
                index += 1
                continue
            }
            if !walk(index, until: began &+ Self.sliceNanoseconds, on: worker) { return }
            if finishPass(index, on: worker) { handovers.remove(at: index) } else { index += 1 }
        }
    }

    /// When hand-overs want a turn by themselves, in ticks; 0 for at once, nil for never.
    func patience(now: UInt32) -> UInt32? {
        if handovers.isEmpty { return nil }
        return handovers.map { $0.notBefore > now ? $0.notBefore - now : 0 }.min()
    }

    /// Looks at connections from the cursor on.
    ///
    /// - Returns: false when time was up before the pass was over.
    private func walk(_ index: Int, until end: UInt64, on worker: Worker) -> Bool {
        let handover = handovers[index].handover
        while handovers[index].cursor < worker.table.used {
            let slot = handovers[index].cursor
            handovers[index].cursor += 1
            guard let peer = worker.table.occupant(slot), unsafe handover.isFrom(peer.pointee.binding) else {
                if slot % Self.slotsPerLook == 0, worker.clock() >= end { return false }
                continue
            }
            if !process(peer, handovers[index], on: worker) {
                handovers[index].remaining += 1
                if mayMove(peer, handover) { handovers[index].movable += 1 }
                if peer.pointee.rareState?.isMoving ?? false { handovers[index].moving += 1 }
            }
            if worker.clock() >= end { return handovers[index].cursor >= worker.table.used }
        }
        return true
    }

    /// - Returns: whether no connection is left with the old binding here.
    private func finishPass(_ index: Int, on worker: Worker) -> Bool {
        // A connection on the way to the new binding counts as moved when the report is made.
        if !handovers[index].hasPassed, handovers[index].moving == 0 {
            notePass(handovers[index])
            handovers[index].hasPassed = true
        }
        if handovers[index].remaining == 0 { return true }
        // A connection that waits for the end of a message is asked again at once; one that drains costs next to
        // nothing meanwhile.
        handovers[index].notBefore =
            handovers[index].movable > 0 ? worker.now &+ 1 : pauseOfDraining(handovers[index], on: worker)
        handovers[index].cursor = 0
        handovers[index].remaining = 0
        handovers[index].movable = 0
        handovers[index].moving = 0
        return false
    }

    /// When a connection that drains has to be looked at next.
    private func pauseOfDraining(_ progress: HandoverProgress, on worker: Worker) -> UInt32 {
        let regular = worker.now &+ Self.drainInterval
        if progress.handover.kind == .close { return worker.now &+ 1 }
        return progress.closeAt > worker.now ? min(regular, progress.closeAt) : regular
    }

    /// Whether it will be moved at its next quiet point.
    private func mayMove(_ peer: ConnectionPointer, _ handover: Handover) -> Bool {
        guard handover.kind == .migrate, let to = unsafe handover.to else { return false }
        switch peer.pointee.phase {
        case .open: return unsafe peer.pointee.rareState?.refusedInstance != to.pointee.instanceID
        case .answering: return true
        case .head, .body, .away, .multiplexed, .closing, .ending, .lingering, .gone: return false
        }
    }

    /// Does for one connection what the hand-over asks for.
    ///
    /// - Returns: whether the connection is no longer with the old binding.
    private func process(_ peer: ConnectionPointer, _ progress: HandoverProgress, on worker: Worker) -> Bool {
        let handover = progress.handover
        switch handover.kind {
        case .swap:
            guard peer.pointee.phase != .gone, let next = unsafe handover.to else { return false }
            unsafe rebind(peer, to: next, on: worker)
            noteMoved(handover, on: worker)
            return true
        case .migrate where mayMove(peer, handover) && isQuiet(peer, handover, on: worker):
            if peer.pointee.rareState?.callbacks != nil {
                beginMove(peer, handover, on: worker)
            } else if migrate(peer, handover, on: worker) {
                return true
            }
        case .migrate, .drain, .close: break
        }
        closeIfDue(peer, progress, on: worker)
        return false
    }

    private func noteMoved(_ handover: Handover, on worker: Worker) {
        handover.moved.add(1, ordering: .relaxed)
        handover.lastMove.store(worker.server.clock(), ordering: .relaxed)
    }

    /// Between two callbacks, with no fragmented message half delivered to the handler or half sent by it.
    ///
    /// A frame that is half received, or a message that is being put together here, is the gateway's business alone and
    /// moves along, unless one of the two handlers wants messages piece by piece.
    private func isQuiet(_ peer: ConnectionPointer, _ handover: Handover, on worker: Worker) -> Bool {
        guard peer.pointee.phase == .open, let from = unsafe handover.from, let to = unsafe handover.to else {
            return false
        }
        if worker.port.sharedTable.isStreaming(peer.pointee.id) || peer.pointee.outbox.isStreaming { return false }
        if worker.port.sharedTable[peer.pointee.slot].jobs.load(ordering: .sequentiallyConsistent) != 0 { return false }
        if unsafe !isQuietOnPool(peer, from, to) { return false }
        guard peer.pointee.reader.isInsideMessage else { return true }
        // Text that was not looked at from its beginning cannot be checked from its middle.
        guard unsafe from.pointee.has(GW_HF_NO_UTF8) == to.pointee.has(GW_HF_NO_UTF8) else { return false }
        return unsafe from.pointee.handler.fragment == nil && to.pointee.handler.fragment == nil
    }

    private func migrate(_ peer: ConnectionPointer, _ handover: Handover, on worker: Worker) -> Bool {
        guard let from = unsafe handover.from else { return false }
        let runner = unsafe LoopRunner(worker: worker, peer: peer, binding: from)
        let isMoved = unsafe runner.handover(handover, into: sink, peer.pointee.exchange)
        noteMove(peer, handover, isMoved, on: worker)
        return isMoved
    }

    /// The connection has gone over, or either side refused.
    ///
    /// One that broke on the way has gone over as well: its old handler has dropped it, and it is the new one that has
    /// a state to free in `close`.
    func noteMove(_ peer: ConnectionPointer, _ handover: Handover, _ isMoved: Bool, on worker: Worker) {
        guard let to = unsafe handover.to else { return }
        if isMoved {
            unsafe rebind(peer, to: to, on: worker)
            noteMoved(handover, on: worker)
            worker.counters(peer)?.moved.count()
        } else if peer.pointee.phase != .gone {
            unsafe peer.pointee.ownRareState.refusedInstance = to.pointee.instanceID
            handover.refused.add(1, ordering: .relaxed)
            unsafe to.pointee.instanceContext.counters.workers[Int(worker.port.index)].refused.count()
        }
    }

    /// Time is up for connections that stayed behind.
    private func closeIfDue(_ peer: ConnectionPointer, _ progress: HandoverProgress, on worker: Worker) {
        // Its own process sends it away.
        if peer.pointee.phase == .away { return }
        var closeAt = progress.closeAt
        if progress.handover.kind == .close {
            // The slot spreads the peers evenly, and the same one does not come first each time.
            let spread = min(max(1, progress.handover.patience), Self.closeSpread)
            closeAt = progress.closeAt &- progress.handover.patience &+ (peer.pointee.slot &* 2_654_435_761) % spread
        }
        guard worker.now >= closeAt else { return }
        if peer.pointee.phase == .open {
            progress.handover.closed.add(1, ordering: .relaxed)
            worker.counters(peer)?.abandoned.count()
            worker.closer.beginClosing(
                peer, code: CloseCode.serviceRestart, reason: Array("the handler was replaced".utf8),
                by: UInt16(GW_BY_RELOAD), on: worker)
        } else if worker.now >= closeAt &+ TimerWheel.ticks(milliseconds: Self.cutOffMilliseconds),
            peer.pointee.phase != .gone
        {
            worker.closer.teardown(peer, on: worker)
        }
    }

    // MARK: On the pool

    /// Whether the callback queue lets the connection move: nothing of it runs, and what waits can be taken by either
    /// handler.
    func isQuietOnPool(
        _ peer: ConnectionPointer, _ from: UnsafeMutablePointer<Binding>, _ to: UnsafeMutablePointer<Binding>
    ) -> Bool {
        guard let rareState = peer.pointee.rareState, let callbacks = rareState.callbacks else { return true }
        guard !rareState.isMoving, callbacks.isQuiet else { return false }
        guard callbacks.hasInput else { return true }
        // Text was looked at when it came, and for the one that was to get it then.
        let isAsChecked = unsafe from.pointee.has(GW_HF_NO_UTF8) == to.pointee.has(GW_HF_NO_UTF8)
        return unsafe isAsChecked && from.pointee.handler.fragment == nil && to.pointee.handler.fragment == nil
    }

    /// Has the connection handed over on the pool, where its handlers may take their time; `poolMoved` tells of it.
    func beginMove(_ peer: ConnectionPointer, _ handover: Handover, on worker: Worker) {
        guard let rareState = peer.pointee.rareState, let callbacks = rareState.callbacks, let to = unsafe handover.to
        else {
            return
        }
        rareState.isMoving = true
        // What it reads meanwhile is for the next one.
        peer.pointee.flags.insert(.throttled)
        unsafe to.pointee.instanceContext.callbackQueues.add(1, ordering: .relaxed)
        worker.enqueue(peer, callbacks, .move(handover))
        worker.updateInterest(peer)
    }

    func finishMove(_ callbacks: CallbackQueue, _ handover: Handover, _ isMoved: Bool, on worker: Worker) {
        if let peer = worker.table.find(slot: callbacks.id.slot, serial: callbacks.id.serial),
            peer.pointee.rareState?.callbacks === callbacks
        {
            peer.pointee.rareState?.isMoving = false
            noteMove(peer, handover, isMoved, on: worker)
            worker.resumeBelowLowWater(peer)
        }
        callbacks.resume()
    }

    /// Hands a connection from one binding to another; its handlers have agreed, or are the same.
    func rebind(_ peer: ConnectionPointer, to next: UnsafeMutablePointer<Binding>, on worker: Worker) {
        let isCounted = peer.pointee.flags.contains(.counted)
        let isOpened = peer.pointee.flags.contains(.opened)
        // What it did so far was with the one that it leaves.
        worker.count(peer)
        if isOpened { worker.counters(peer)?.open.uncount() }
        peer.pointee.unbind()
        unsafe peer.pointee.bind(next)
        if isOpened { worker.counters(peer)?.open.count() }
        if isCounted {
            peer.pointee.flags.insert(.counted)
            unsafe next.pointee.route.connections.add(1, ordering: .relaxed)
        }
        unsafe worker.port.sharedTable.rebind(peer.pointee.slot, to: next)
        // Limits may be others now.
        unsafe worker.slowConsumers.follow(next, peer, on: worker)
        if peer.pointee.pingDue != 0, !peer.pointee.flags.contains(.pinged) {
            let interval = unsafe next.pointee.limits.pingInterval
            peer.pointee.pingDue = interval == 0 ? 0 : worker.now + interval
        }
        worker.timers.schedule(peer, on: worker)
    }
}
