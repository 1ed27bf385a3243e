import Bytes
import GatewayIO
import Glibc

/// Messages go out and have to come back as they were, in order.
extension LoadGenerator {
    mutating func runEcho() throws(Errno) {
        try open(0..<peers.count)
        var schedule = Schedule(rate: plan.rate, begin: now)
        if plan.rate == nil {
            for slot in 0..<peers.count {
                if let peer = peers.occupant(slot) { try queue(depth(of: peer), on: peer, due: now) }
            }
        } else if plan.flood > 0, let flood = peers.occupant(UInt32(truncatingIfNeeded: plan.connections)) {
            try queue(plan.flood, on: flood, due: now)
        }
        try measure(limit: plan.messages) { generator, now throws(Errno) in
            if generator.plan.rate != nil { try generator.sendDue(&schedule, now: now) }
            return generator.plan.rate == nil ? 100 : 0
        }
    }

    /// Runs turns until the time is over or so much is completed, or no peer is connected any more.
    ///
    /// `prepare` is called before each turn with the time and answers how long the turn may wait.
    mutating func measure(
        limit: Int?, _ prepare: (inout LoadGenerator, UInt64) throws(Errno) -> Int32
    ) throws(Errno) {
        let begin = Clock.monotonicNanoseconds()
        // With a fixed number of messages all of them are measured.
        let warmup = limit == nil ? UInt64(plan.warmup * 1e9) : 0
        let end = limit == nil ? begin &+ warmup &+ UInt64(plan.seconds * 1e9) : UInt64.max
        var progress = (completed, begin)
        now = begin
        while now < end, completed < limit ?? Int.max {
            if !tally.isOn, now >= begin &+ warmup { tally.start(plan, now: now) }
            let wait = try prepare(&self, now)
            // Between handshakes by a schedule there may be no connection.
            if live + opening == 0, plan.mode != .connect || plan.rate == nil { break }
            try turn(milliseconds: wait)
            if completed != progress.0 { progress = (completed, now) }
            if now &- progress.1 > Self.patience {
                faults.add(.lost, "nothing came back for 10 s")
                break
            }
        }
        if !tally.isOn { tally.start(plan, now: now) }
        tally.stop(plan, now: now)
    }

    /// The slot behind all others is that of `--flood`.
    @inline(__always)
    private func floods(_ peer: PeerPlace) -> Bool { Int(peer.pointee.slot) == plan.connections }

    @inline(__always)
    private func depth(of peer: PeerPlace) -> Int { floods(peer) ? plan.flood : plan.depth }

    /// Sends so many more messages, or as many as are left of the budget.
    @inline(__always)
    mutating func queue(_ wanted: Int, on peer: PeerPlace, due: UInt64) throws(Errno) {
        let isFlood = floods(peer)
        let count = isFlood ? wanted : min(wanted, budget)
        guard count > 0 else { return }
        if plan.messages != nil, !isFlood { budget &-= count }
        var variant = 0
        if plan.deflates {
            // Frames are of different lengths: the next one stands behind those that are under way.
            variant = (peer.pointee.variant &+ peer.pointee.underWay) % stream.variants
            noteSent(count, from: variant)
        }
        let depth = depth(of: peer)
        let ring = UInt32(truncatingIfNeeded: plan.depth) &* peer.pointee.slot
        for _ in 0..<count {
            var index = peer.pointee.ringHead &+ peer.pointee.underWay
            if index >= depth { index &-= depth }
            times[ring &+ UInt32(truncatingIfNeeded: index)] = due
            peer.pointee.underWay &+= 1
        }
        peer.pointee.pending &+= stream.length(of: count, from: variant)
        try flush(peer)
    }

    private mutating func noteSent(_ count: Int, from variant: Int) {
        guard tally.isOn else { return }
        compression.sent.plain &+= count &* stream.payloadLength
        compression.sent.wire &+= stream.packedLength(of: count, from: variant)
    }

    /// Messages came back: in a closed loop as many go out.
    @inline(__always)
    mutating func heard(_ count: Int, from peer: PeerPlace) throws(Errno) {
        let last = peer.pointee.lastHeard
        if tally.isOn, last >= tally.begin, !floods(peer) { tally.longestPause = max(tally.longestPause, now &- last) }
        peer.pointee.lastHeard = now
        if plan.rate == nil || floods(peer) { try queue(count, on: peer, due: now) }
    }

    /// Long messages are compared one in so many: comparing them all would cost as much as sending them.
    private static var longMessage: Int { 4096 }

    @inline(__always)
    mutating func takeEcho(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) {
        let received = peer.pointee.received
        if received == 0 {
            let isOneInSixteen = (peer.pointee.messages &+ peer.pointee.slot) & 15 == 0
            peer.pointee.isChecked = stream.payloadLength <= Self.longMessage || isOneInSixteen
        }
        peer.pointee.received = received &+ payload.count
        if peer.pointee.isChecked, peer.pointee.received <= stream.payloadLength {
            let from = peer.pointee.variant &* stream.payloadLength &+ received
            if !stream.payloads.span.extracting(from..<from &+ payload.count).isEqual(to: payload) {
                faults.add(.mismatched, "connection \(peer.pointee.slot): a message is not the one that was sent")
                peer.pointee.isChecked = false
            }
        }
        if isEnd, peer.pointee.reader.isFinal { endEcho(peer) }
    }

    @inline(__always)
    private mutating func endEcho(_ peer: PeerPlace) {
        let length = peer.pointee.received
        peer.pointee.received = 0
        peer.pointee.messages &+= 1
        guard peer.pointee.underWay > 0 else {
            faults.add(.violations, "connection \(peer.pointee.slot): a message came back that was not sent")
            return
        }
        if length != stream.payloadLength || peer.pointee.reader.messageOpcode != stream.opcode {
            faults.add(.mismatched, "connection \(peer.pointee.slot): a message came back with another length or type")
        }
        let ring = UInt32(truncatingIfNeeded: plan.depth) &* peer.pointee.slot
        let due = times[ring &+ UInt32(truncatingIfNeeded: peer.pointee.ringHead)]
        peer.pointee.ringHead = peer.pointee.ringHead &+ 1 == depth(of: peer) ? 0 : peer.pointee.ringHead &+ 1
        peer.pointee.underWay &-= 1
        peer.pointee.variant = peer.pointee.variant &+ 1 == stream.variants ? 0 : peer.pointee.variant &+ 1
        if floods(peer) { return tally.countFlood() }
        completed &+= 1
        tally.count(now > due ? now &- due : 0, bytes: length, now: now)
    }

    /// Sends what is due by the schedule. What finds all connections busy is late, and its latency counts from when it
    /// was due.
    private mutating func sendDue(_ schedule: inout Schedule, now: UInt64) throws(Errno) {
        while let due = schedule.due(now: now) {
            guard let peer = nextFree(&schedule) else { return }
            try queue(1, on: peer, due: due)
            schedule.advance()
        }
    }

    private func nextFree(_ schedule: inout Schedule) -> PeerPlace? {
        for _ in 0..<plan.connections {
            let slot = schedule.nextSlot
            schedule.nextSlot = Int(slot) &+ 1 == plan.connections ? 0 : slot &+ 1
            if let peer = peers.occupant(slot), peer.pointee.underWay < plan.depth { return peer }
        }
        return nil
    }
}

/// When messages of an open loop are due.
struct Schedule {
    private let gap: Double
    private var next: Double
    private let begin: UInt64
    var nextSlot: UInt32 = 0

    init(rate: Double?, begin: UInt64) {
        gap = rate.map { 1e9 / $0 } ?? 0
        next = 0
        self.begin = begin
    }

    /// The time of the next message if it has come.
    func due(now: UInt64) -> UInt64? {
        let time = begin &+ UInt64(next)
        return time <= now ? time : nil
    }

    mutating func advance() { next += gap }
}

extension Span<UInt8> {
    /// Whether both are the same bytes; as fast as the C library compares.
    @inline(__always)
    func isEqual(to other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        // Both live until the call has returned.
        return unsafe withUnsafeBytes { mine in
            unsafe other.withUnsafeBytes { theirs in
                guard let left = mine.baseAddress, let right = theirs.baseAddress else { return true }
                return unsafe memcmp(left, right, mine.count) == 0
            }
        }
    }
}
