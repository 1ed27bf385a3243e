import Synchronization

/// A reference that is made when it is first wanted, by any thread, and then stays. The library's `AtomicLazyReference`
/// is not specialised for its instance, which cost a thousand instructions a connection.
struct LazyReference<Instance: AnyObject & Sendable>: ~Copyable, Sendable {
    private let address = Atomic<UInt>(0)

    /// What was stored; nil before.
    @inline(__always)
    func load() -> Instance? {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address.load(ordering: .acquiring)) else { return nil }
        return unsafe Unmanaged<Instance>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Stores an instance unless another thread was first; answers what is there now.
    @inline(never)
    func storeIfNil(_ instance: Instance) -> Instance {
        let kept = unsafe Unmanaged.passRetained(instance)
        let (isFirst, _) = unsafe address.compareExchange(
            expected: 0, desired: UInt(bitPattern: kept.toOpaque()), ordering: .acquiringAndReleasing)
        if isFirst { return instance }
        unsafe kept.release()
        return load() ?? instance
    }

    deinit {
        guard let pointer = unsafe UnsafeRawPointer(bitPattern: address.load(ordering: .relaxed)) else { return }
        unsafe Unmanaged<Instance>.fromOpaque(pointer).release()
    }
}
