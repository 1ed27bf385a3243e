import Synchronization

/// What is to be known of another program of this gateway, while one takes the place of the other. Any thread.
final class Twin: Sendable {
    /// What it publishes under: members here hear of that without the engine. 0 where there is no other program.
    let origin = Atomic<UInt64>(0)
    /// It hears the engines for both.
    let isHearing = Atomic<Bool>(false)
    /// Publishers have come of whom something may be on its way to an engine there: what they publish here waits for it.
    let isBehind = Atomic<Bool>(false)
}
