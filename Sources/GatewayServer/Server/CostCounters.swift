import Synchronization

/// How often peers of a route cost too much, and what came of it: for `gateway status`. Any thread.
final class CostCounters: Sendable {
    /// Connections that ended because the peer took nothing for `write_timeout`.
    let writeTimeouts = Atomic<Int>(0)
    /// Beyond `send_buffer`: connections that were closed.
    let closed = Atomic<Int>(0)
    /// Messages, fragments and control frames that were not taken.
    let droppedNew = Atomic<Int>(0)
    /// Messages that were taken, and given up for newer ones.
    let droppedOld = Atomic<Int>(0)
    /// Times that a peer was not read from, because it did not read.
    let pausedReads = Atomic<Int>(0)
}
