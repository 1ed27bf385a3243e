import Bytes
import Synchronization

/// What of a connection's traffic has been counted for its route: the low halves of its own counts at that time.
struct CountedTraffic {
    var messagesIn: UInt32 = 0
    var messagesOut: UInt32 = 0
    var bytesIn: UInt32 = 0
    var bytesOut: UInt32 = 0
    /// The sums of GW_TEXT and GW_BINARY over the messages since.
    var kindsIn: UInt32 = 0
    var kindsOut: UInt32 = 0
}

/// The connections of a worker on which something went on in this tick (32 ms). When the tick is over, what it was is
/// added to the counters of their instances: a message itself costs one addition more.
///
/// The first callback of a tick is also the one whose duration is looked at.
struct Activity: ~Copyable {
    private(set) var slots: [UInt32] = []
    /// The last tick that has been looked at.
    private(set) var tick: UInt32 = 0
    /// A message is to be timed.
    var isSampleDue = false

    var isEmpty: Bool { slots.isEmpty }

    /// Something went on. Twice does no harm.
    mutating func note(_ slot: UInt32) { slots.append(slot) }

    /// What went on has been counted, and a new tick begins. The array stays: there are many ticks.
    mutating func begin(_ tick: UInt32) {
        self.tick = tick
        isSampleDue = true
        slots.removeAll(keepingCapacity: true)
    }
}

extension Worker {
    /// Something came from the peer in this turn.
    ///
    /// - Returns: whether the first message of it is to be timed.
    @inline(__always)
    func noteInput(_ peer: ConnectionPointer) -> Bool {
        if peer.pointee.noted.contains(.input) { return false }
        return noteFirstInput(peer)
    }

    @inline(never)
    private func noteFirstInput(_ peer: ConnectionPointer) -> Bool {
        if peer.pointee.flags.contains(.inspected), tracing.covers(peer) {
            noteTracedInput(peer)
            return true
        }
        peer.pointee.noted.insert(.input)
        port.sharedTable[peer.pointee.slot].lastIn.store(now, ordering: .relaxed)
        activity.note(peer.pointee.slot)
        guard activity.isSampleDue else { return false }
        activity.isSampleDue = false
        running.isSample = true
        return true
    }

    /// The same of a connection that is followed: all of its input is the first of its tick, so that none of it goes the
    /// short way.
    func noteTracedInput(_ peer: ConnectionPointer) {
        peer.pointee.noted.remove(.input)
        if port.sharedTable[peer.pointee.slot].lastIn.load(ordering: .relaxed) == now { return }
        port.sharedTable[peer.pointee.slot].lastIn.store(now, ordering: .relaxed)
        activity.note(peer.pointee.slot)
    }

    /// Something went to the peer in this turn.
    @inline(__always)
    func noteOutput(_ peer: ConnectionPointer) {
        if !peer.pointee.noted.contains(.output) { noteFirstOutput(peer) }
    }

    @inline(never)
    private func noteFirstOutput(_ peer: ConnectionPointer) {
        peer.pointee.noted.insert(.output)
        port.sharedTable[peer.pointee.slot].lastOut.store(now, ordering: .relaxed)
        activity.note(peer.pointee.slot)
    }

    /// A tick is over: counts what went on in it.
    @inline(never)
    func countActivity() {
        for index in 0..<activity.slots.count {
            guard let peer = table.occupant(activity.slots[index]) else { continue }
            peer.pointee.noted = []
            count(peer)
        }
        activity.begin(now)
    }

    /// What the counters of the connection's instance are; nil before it has one.
    func counters(_ peer: ConnectionPointer) -> WorkerCounters? {
        unsafe peer.pointee.binding?.pointee.instanceContext.counters.workers[Int(port.index)]
    }

    /// Adds what went on since the last time to the counters of its instance.
    func count(_ peer: ConnectionPointer) {
        if peer.pointee.flags.contains(.opened), let counters = counters(peer) { count(peer, in: counters) }
    }

    @inline(never)
    private func count(_ peer: ConnectionPointer, in counters: WorkerCounters) {
        let messagesIn = UInt32(truncatingIfNeeded: peer.pointee.messagesIn)
        let bytesIn = UInt32(truncatingIfNeeded: peer.pointee.bytesIn)
        counters.received.count(
            messages: messagesIn &- peer.pointee.counted.messagesIn, kinds: peer.pointee.counted.kindsIn,
            bytes: bytesIn &- peer.pointee.counted.bytesIn)
        peer.pointee.counted.messagesIn = messagesIn
        peer.pointee.counted.bytesIn = bytesIn
        peer.pointee.counted.kindsIn = 0

        let messagesOut = UInt32(truncatingIfNeeded: peer.pointee.messagesOut)
        let bytesOut = UInt32(truncatingIfNeeded: peer.pointee.bytesOut)
        // Below zero: the response to the handshake, which does not count, has not gone out yet.
        let sent = Int32(bitPattern: bytesOut &- peer.pointee.counted.bytesOut)
        counters.sent.count(
            messages: messagesOut &- peer.pointee.counted.messagesOut, kinds: peer.pointee.counted.kindsOut,
            bytes: UInt32(max(0, sent)))
        peer.pointee.counted.messagesOut = messagesOut
        peer.pointee.counted.kindsOut = 0
        if sent > 0 { peer.pointee.counted.bytesOut = bytesOut }
    }

    /// The connection is open. What belongs to its handshake is not counted.
    ///
    /// - Parameter nanoseconds: how long the handshake took.
    func countOpened(_ peer: ConnectionPointer, nanoseconds: UInt64) {
        let pending = peer.pointee.outbox.count
        peer.pointee.counted.bytesIn =
            UInt32(truncatingIfNeeded: peer.pointee.bytesIn) &- UInt32(truncatingIfNeeded: peer.pointee.leftover.count)
        peer.pointee.counted.bytesOut =
            UInt32(truncatingIfNeeded: peer.pointee.bytesOut) &+ UInt32(truncatingIfNeeded: pending)
        guard let counters = counters(peer) else { return }
        counters.opened.count()
        counters.open.count()
        counters.noteHandshake(nanoseconds: nanoseconds)
        activity.note(peer.pointee.slot)
    }

    /// So many bytes came behind the head of the request in the same read: they are not its.
    @inline(never)
    func countBehindHead(_ peer: ConnectionPointer, _ bytes: Int) {
        peer.pointee.counted.bytesIn &-= UInt32(truncatingIfNeeded: bytes)
    }

    /// `close` is due.
    func countClosed(_ peer: ConnectionPointer) {
        guard let counters = counters(peer) else { return }
        count(peer, in: counters)
        counters.open.uncount()
        counters.noteClose(code: peer.pointee.closeCode, by: UInt16(peer.pointee.closeBy))
    }
}
