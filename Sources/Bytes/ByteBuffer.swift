import Glibc

/// A growable run of octets with one owner; empty ones hold no memory and are one word.
@safe
public struct ByteBuffer: ~Copyable {
    /// What stands in front of the octets.
    @unsafe
    private struct Header {
        var count: Int
        var capacity: Int
    }

    private var header: UnsafeMutablePointer<Header>?

    public init() {}

    deinit { unsafe Glibc.free(header) }

    public var count: Int { unsafe header?.pointee.count ?? 0 }
    public var capacity: Int { unsafe header?.pointee.capacity ?? 0 }
    public var isEmpty: Bool { count == 0 }

    private var base: UnsafeMutableRawPointer? { unsafe header.map { unsafe UnsafeMutableRawPointer($0 + 1) } }

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
        unsafe header?.pointee.count += octets
    }

    /// Makes room for so many octets in all; growing doubles, so that appending is linear.
    public mutating func reserve(_ wanted: Int) {
        let (count, capacity) = (count, capacity)
        if wanted <= capacity { return }
        let grown = max(wanted, capacity < (1 << 40) ? capacity * 2 : wanted)
        guard let memory = unsafe realloc(header, MemoryLayout<Header>.size + grown) else {
            fatalError("out of memory for \(grown) octets")
        }
        unsafe header = memory.bindMemory(to: Header.self, capacity: 1)
        unsafe header?.initialize(to: Header(count: count, capacity: grown))
    }

    public mutating func append(_ octets: UnsafeRawBufferPointer) {
        guard let source = octets.baseAddress, octets.count > 0 else { return }
        reserve(count + octets.count)
        unsafe memcpy(base! + count, source, octets.count)
        unsafe header?.pointee.count += octets.count
    }

    /// Forgets the first octets and moves the rest to the front.
    public mutating func removeFirst(_ octets: Int) {
        precondition(octets >= 0 && octets <= count, "removed more than there is")
        guard octets > 0, let base = unsafe base else { return }
        let left = count - octets
        unsafe header?.pointee.count = left
        if left > 0 { unsafe memmove(base, base + octets, left) }
    }

    /// Forgets the octets and keeps the memory.
    public mutating func removeAll() { unsafe header?.pointee.count = 0 }

    /// Gives the memory back as well.
    public mutating func free() {
        unsafe Glibc.free(header)
        unsafe header = nil
    }
}
