import Synchronization

/// Lets one callback of an instance through at a time, on whatever workers its connections are (GW_HF_SERIAL).
///
/// A worker waits here for another one's callback and for nothing else: host functions never wait and never call back,
/// so the thread inside can never be waiting for one outside.
final class SerialLock: Sendable {
    private let inside = Mutex<Void>(())

    func enter() { inside._unsafeLock() }
    func leave() { inside._unsafeUnlock() }
}
