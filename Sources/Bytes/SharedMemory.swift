import Glibc
import Synchronization

/// A file of memory as this process has it mapped: one process writes, another one reads what that has left behind.
///
/// What a process has stored is there in the order in which it was stored, at whichever instruction it dies. The memory
/// costs nothing until it is touched, and is no part of a core file.
@safe
public struct SharedMemory: ~Copyable, Sendable {
    /// Bytes.
    public let count: Int
    private let base: SendablePointer<UnsafeMutableRawPointer>

    /// Maps a file whose size cannot change.
    ///
    /// - Returns: nil, with errno set, when the kernel refuses.
    public init?(descriptor: Int32, count: Int) {
        let protection = PROT_READ | PROT_WRITE
        let memory = unsafe mmap(nil, count, protection, MAP_SHARED | MAP_NORESERVE, descriptor, 0)
        // MAP_FAILED is a cast that Swift does not import: all bits set.
        guard let memory = unsafe memory, Int(bitPattern: memory) != -1 else { return nil }
        unsafe madvise(memory, count, MADV_DONTDUMP)
        self.count = count
        unsafe base = SendablePointer(memory)
    }

    deinit { unsafe munmap(base.pointer, count) }

    /// Out of range is a fault of ours and ends the process.
    @inline(__always)
    private func address(_ offset: Int, _ bytes: Int) -> UnsafeMutableRawPointer {
        precondition(offset >= 0 && bytes >= 0 && offset <= count &- bytes, "outside of shared memory")
        return unsafe base.pointer + offset
    }

    /// A word, eight bytes at a multiple of eight.
    @inline(__always)
    private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        precondition(offset & 7 == 0, "a word lies at a multiple of eight")
        return unsafe address(offset, 8).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    @inline(__always)
    public func load(_ offset: Int) -> UInt64 { unsafe word(offset).pointee.load(ordering: .acquiring) }

    /// Stores a word that means nothing before a word that says so is published.
    @inline(__always)
    public func store(_ value: UInt64, at offset: Int) { unsafe word(offset).pointee.store(value, ordering: .relaxed) }

    /// Stores a word behind everything that was stored before it and in front of everything that is stored later.
    @inline(__always)
    public func publish(_ value: UInt64, at offset: Int) {
        unsafe word(offset).pointee.store(value, ordering: .releasing)
        atomicMemoryFence(ordering: .acquiringAndReleasing)
    }

    /// Copies bytes there.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        let target = unsafe address(offset, bytes.count)
        if let source = bytes.baseAddress { unsafe memcpy(target, source, bytes.count) }
    }

    /// What lies there; good as long as the memory is and nobody writes.
    public func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: address(range.lowerBound, range.count), count: range.count)
    }

    /// Gives the pages back that lie wholly in a range: they are zero from here on.
    public func discard(_ range: Range<Int>) {
        let page = 4096
        let (first, last) = ((range.lowerBound + page - 1) & ~(page - 1), range.upperBound & ~(page - 1))
        if first < last { unsafe madvise(address(first, last - first), last - first, MADV_REMOVE) }
    }

    /// For code in C that writes there: the address of a word.
    public func pointer(to offset: Int) -> UnsafeMutablePointer<UInt64> {
        unsafe address(offset, 8).assumingMemoryBound(to: UInt64.self)
    }
}
