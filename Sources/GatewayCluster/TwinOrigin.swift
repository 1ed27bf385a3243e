import Synchronization

/// What another program of this gateway publishes under, while one takes the place of the other: members here hear of that
/// without the engine.
final class TwinOrigin: Sendable {
    /// 0 where there is no other program.
    let number = Atomic<UInt64>(0)
    /// That program hears the engine for both.
    let isHearing = Atomic<Bool>(false)
}
