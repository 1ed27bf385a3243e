import Glibc

/// A growable run of bytes with one owner; empty ones hold no memory and are one word.
@safe
public struct ByteBuffer: ~Copyable {
    /// What stands in front of the bytes.
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

    /// The bytes; good until the next change of the buffer.
    public var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
    }

    /// Room behind the bytes, to be filled and then claimed with `didFill`.
    public var spare: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base.map { unsafe $0 + count }, count: capacity - count)
    }

    /// Claims bytes that were written into `spare`.
    public mutating func didFill(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= capacity - count, "filled more than was spare")
        unsafe header?.pointee.count += bytes
    }

    /// Makes room for so many bytes in all; growing doubles, so that appending is linear.
    public mutating func reserve(_ wanted: Int) {
        let (count, capacity) = (count, capacity)
        if wanted <= capacity { return }
        let grown = max(wanted, capacity < (1 << 40) ? capacity * 2 : wanted)
        guard let memory = unsafe realloc(header, MemoryLayout<Header>.size + grown) else {
            fatalError("out of memory for \(grown) bytes")
        }
        unsafe header = memory.bindMemory(to: Header.self, capacity: 1)
        unsafe header?.initialize(to: Header(count: count, capacity: grown))
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(count + bytes.count)
        unsafe memcpy(base! + count, source, bytes.count)
        unsafe header?.pointee.count += bytes.count
    }

    /// Forgets the first bytes and moves the rest to the front.
    public mutating func removeFirst(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= count, "removed more than there is")
        guard bytes > 0, let base = unsafe base else { return }
        let left = count - bytes
        unsafe header?.pointee.count = left
        if left > 0 { unsafe memmove(base, base + bytes, left) }
    }

    /// Forgets the last bytes.
    public mutating func removeLast(_ bytes: Int) {
        precondition(bytes >= 0 && bytes <= count, "removed more than there is")
        unsafe header?.pointee.count -= bytes
    }

    /// Forgets the bytes and keeps the memory.
    public mutating func removeAll() { unsafe header?.pointee.count = 0 }

    /// Gives the memory back as well.
    public mutating func free() {
        unsafe Glibc.free(header)
        unsafe header = nil
    }
}
