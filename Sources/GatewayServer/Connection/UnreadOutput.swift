import GatewayIO

/// Output that waits because the transport takes no more: whether any of it moves (`write_timeout`).
///
/// Looked at from time to time, so that moving costs nothing. What the kernel has and the peer has not acknowledged
/// counts: a kernel with much room asks for more only when a third of that is free again, which may take a slow peer long.
struct UnreadOutput {
    /// How often it is looked at within the limit.
    private static let looks: UInt32 = 8
    /// Bytes that the transport had taken at the last look.
    private var taken: UInt64
    /// Bytes that lay in the kernel then; nil where there is no socket.
    private var inKernel: Int?
    /// When it was last seen to have moved.
    private var movedAt: UInt32
    /// When to look again.
    private(set) var nextLook: UInt32

    /// - Parameter limit: ticks, not 0.
    init(_ peer: ConnectionPointer, limit: UInt32, now: UInt32) {
        taken = peer.pointee.bytesOut
        inKernel = peer.pointee.transport.bytesInKernel
        movedAt = now
        nextLook = now &+ max(1, limit / Self.looks)
    }

    /// - Parameter limit: ticks; 0 for ever.
    /// - Returns: whether nothing has moved for so long.
    mutating func look(_ peer: ConnectionPointer, limit: UInt32, now: UInt32) -> Bool {
        let (wasTaken, wasInKernel) = (taken, inKernel)
        taken = peer.pointee.bytesOut
        inKernel = peer.pointee.transport.bytesInKernel
        if taken != wasTaken || inKernel != wasInKernel || limit == 0 { movedAt = now }
        let waited = now &- movedAt
        if limit > 0, waited >= limit { return true }
        // With the limit switched off it is looked at now and then, since it may be switched on again.
        let step = limit == 0 ? TimerWheel.ticks(milliseconds: 60_000) : max(1, limit / Self.looks)
        nextLook = now &+ (limit == 0 ? step : min(step, limit - waited))
        return false
    }
}
