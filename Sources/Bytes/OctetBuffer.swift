import Glibc

/// A growable run of octets with one owner; empty ones hold no memory.
@safe
public struct OctetBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer?
    public private(set) var count = 0
    public private(set) var capacity = 0

    public init() {}

    deinit { unsafe Glibc.free(base) }

    public var isEmpty: Bool { count == 0 }

    /// The octets; good until the next change of the buffer.
    public var octets: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
    }

    /// Room behind the octets, to be filled and then claimed with `didFill`.
    public var spare: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base.map { unsafe $0 + count }, count: capacity - count)
    }

    /// Claims octets that were written into `spare`.
    public mutating func didFill(_ octets: Int) {
        precondition(octets >= 0 && octets <= capacity - count, "filled more than was spare")
        count += octets
    }

    /// Makes room for so many octets in all; growing doubles, so that appending is linear.
    public mutating func reserve(_ wanted: Int) {
        if wanted <= capacity { return }
        let grown = max(wanted, capacity < (1 << 40) ? capacity * 2 : wanted)
        guard let memory = unsafe realloc(base, grown) else { fatalError("out of memory for \(grown) octets") }
        unsafe base = memory
        capacity = grown
    }

    public mutating func append(_ octets: UnsafeRawBufferPointer) {
        guard let source = octets.baseAddress, octets.count > 0 else { return }
        reserve(count + octets.count)
        unsafe memcpy(base! + count, source, octets.count)
        count += octets.count
    }

    /// Forgets the first octets and moves the rest to the front.
    public mutating func removeFirst(_ octets: Int) {
        precondition(octets >= 0 && octets <= count, "removed more than there is")
        count -= octets
        if count > 0, let base = unsafe base { unsafe memmove(base, base + octets, count) }
    }

    /// Forgets the octets and keeps the memory.
    public mutating func removeAll() { count = 0 }

    /// Gives the memory back as well.
    public mutating func free() {
        unsafe Glibc.free(base)
        unsafe base = nil
        count = 0
        capacity = 0
    }
}
