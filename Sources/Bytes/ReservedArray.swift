import Glibc

/// A fixed number of elements at a fixed address, zeroed, whose pages cost nothing until they are touched.
///
/// The elements must be valid when all their bytes are zero, and trivial: nothing is deinitialised. The memory
/// is returned when the owner goes; one thread owns it unless its elements are atomics.
@safe
public struct ReservedArray<Element: ~Copyable>: ~Copyable {
    public let capacity: Int
    private let base: UnsafeMutablePointer<Element>

    /// - Returns: nil when the kernel refuses the address space.
    public init?(capacity: Int) {
        let bytes = max(1, capacity).multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        if bytes.overflow { return nil }
        let protection = PROT_READ | PROT_WRITE
        let memory = unsafe mmap(
            nil, bytes.partialValue, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        // MAP_FAILED is a cast that Swift does not import: all bits set.
        guard let memory = unsafe memory, Int(bitPattern: memory) != -1 else { return nil }
        self.capacity = max(1, capacity)
        unsafe base = memory.bindMemory(to: Element.self, capacity: self.capacity)
    }

    deinit { unsafe munmap(base, capacity * MemoryLayout<Element>.stride) }

    /// The element's address, good as long as this memory; out of range is a fault of ours and ends the process.
    @inline(__always)
    public func address(_ index: UInt32) -> UnsafeMutablePointer<Element> {
        precondition(Int(index) < capacity, "slot out of range")
        return unsafe base + Int(index)
    }

    public subscript(index: UInt32) -> Element {
        @inline(__always) unsafeAddress { unsafe UnsafePointer(address(index)) }
        @inline(__always) nonmutating unsafeMutableAddress { unsafe address(index) }
    }
}
