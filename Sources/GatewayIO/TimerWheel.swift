import Bytes

/// One coarse deadline per slot: arming, moving and cancelling cost a few stores, and nothing is allocated.
///
/// Time is a number of ticks that the owner passes in. A deadline further away than the wheel is round waits in
/// its bucket for more than one lap. Owned by one thread.
public struct TimerWheel: ~Copyable {
    /// A tick is long against a message and short against a timeout.
    public static let tickMilliseconds: UInt64 = 32

    private static let bucketCount: UInt32 = 1024
    private static let none = UInt32.max

    // Not private: the compiler (6.3.1) loses the metadata of a private type that a generic field of a public
    // non-copyable struct holds, when another module destroys it.
    public struct Link {
        var next: UInt32
        var previous: UInt32
        /// The tick at which the slot is due; 0 means not armed.
        fileprivate var deadline: UInt32
    }

    private let links: ReservedArray<Link>
    private var heads: [UInt32]
    private var hand: UInt32
    /// The next deadline, if its bucket is still filled; an earlier one cannot be.
    private var soonest = UInt32.max
    /// How many slots are armed.
    public private(set) var armed = 0

    /// - Parameter capacity: slots are numbered below it.
    /// - Returns: nil when the kernel refuses the address space.
    public init?(capacity: Int, now: UInt32) {
        guard let memory = ReservedArray<Link>(capacity: capacity) else { return nil }
        links = memory
        heads = Array(repeating: Self.none, count: Int(Self.bucketCount))
        hand = now
    }

    /// Milliseconds as ticks, rounded up, at least one.
    public static func ticks(milliseconds: Int64) -> UInt32 {
        let tick = Int64(tickMilliseconds)
        let whole = max(1, milliseconds / tick + (milliseconds % tick > 0 ? 1 : 0))
        return UInt32(clamping: min(whole, Int64(UInt32.max / 4)))
    }

    /// When the slot is due; nil when it is not armed.
    public func deadline(of slot: UInt32) -> UInt32? {
        let deadline = links[slot].deadline
        return deadline == 0 ? nil : deadline
    }

    /// Arms a slot, or moves it when it is armed already. A deadline in the past is due at the next tick.
    public mutating func arm(_ slot: UInt32, at deadline: UInt32) {
        let due = max(deadline, hand &+ 1)
        if links[slot].deadline == due { return }
        cancel(slot)
        let bucket = Int(due % Self.bucketCount)
        let head = heads[bucket]
        links[slot] = Link(next: head, previous: Self.none, deadline: due)
        if head != Self.none { links[head].previous = slot }
        heads[bucket] = slot
        soonest = min(soonest, due)
        armed += 1
    }

    /// Does nothing to a slot that is not armed.
    public mutating func cancel(_ slot: UInt32) {
        let link = links[slot]
        if link.deadline == 0 { return }
        if link.previous == Self.none {
            heads[Int(link.deadline % Self.bucketCount)] = link.next
        } else {
            links[link.previous].next = link.next
        }
        if link.next != Self.none { links[link.next].previous = link.previous }
        links[slot].deadline = 0
        armed -= 1
    }

    /// Moves the hand to `now` and disarms what is due.
    ///
    /// - Parameter due: the slots are appended to it, in no particular order.
    public mutating func advance(to now: UInt32, due: inout [UInt32]) {
        guard now > hand else { return }
        // After a long sleep each bucket is looked at once, not once for every lap.
        let steps = min(now - hand, Self.bucketCount)
        for step in 0..<steps where armed > 0 {
            collect(bucket: (now - step) % Self.bucketCount, now: now, into: &due)
        }
        hand = now
    }

    private mutating func collect(bucket: UInt32, now: UInt32, into due: inout [UInt32]) {
        var slot = heads[Int(bucket)]
        while slot != Self.none {
            let next = links[slot].next
            if links[slot].deadline <= now {
                cancel(slot)
                due.append(slot)
            }
            slot = next
        }
    }

    /// Ticks until the hand has to move again: exact within one lap, else one lap; nil when nothing is armed.
    public mutating func ticksUntilNext() -> UInt32? {
        if armed == 0 { return nil }
        // Asked once a turn: what was found last time nearly always still holds.
        if soonest > hand, soonest - hand < Self.bucketCount, heads[Int(soonest % Self.bucketCount)] != Self.none {
            return soonest - hand
        }
        for step in 1..<Self.bucketCount where heads[Int((hand &+ step) % Self.bucketCount)] != Self.none {
            soonest = hand &+ step
            return step
        }
        return Self.bucketCount
    }
}
