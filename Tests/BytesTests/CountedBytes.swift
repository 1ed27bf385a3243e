import Bytes
import Synchronization

/// Shared bytes that count how often they were handed back, and whose keeper is watched.
final class CountedBytes {
    private let memory: UnsafeMutableRawBufferPointer
    private let releases: UnsafeMutablePointer<Atomic<Int>>
    private let keeper: UnsafeMutablePointer<Atomic<Int>>
    /// Dangles once `released` is 1.
    let shared: UnsafeMutablePointer<SharedBuffer>

    init(_ bytes: [UInt8]) {
        memory = .allocate(byteCount: bytes.count, alignment: 1)
        memory.copyBytes(from: bytes)
        releases = .allocate(capacity: 1)
        releases.initialize(to: Atomic(0))
        keeper = .allocate(capacity: 1)
        keeper.initialize(to: Atomic(0))
        let shared = SharedBuffer.wrap(
            UnsafeRawBufferPointer(memory),
            release: { context in
                _ = context?.assumingMemoryBound(to: Atomic<Int>.self).pointee.add(1, ordering: .relaxed)
            }, context: UnsafeMutableRawPointer(releases), keeper: keeper)
        guard let shared else { preconditionFailure("no memory for a header") }
        self.shared = shared
    }

    deinit {
        memory.deallocate()
        releases.deinitialize(count: 1)
        releases.deallocate()
        keeper.deinitialize(count: 1)
        keeper.deallocate()
    }

    /// How often the release function was called.
    var released: Int { releases.pointee.load(ordering: .acquiring) }
    /// What the keeper stands at: 1 while the bytes live.
    var kept: Int { keeper.pointee.load(ordering: .acquiring) }
}
