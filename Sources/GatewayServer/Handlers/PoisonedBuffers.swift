/// Where bytes lie that a watched handler is lent: each lending has memory of its own, which is overwritten when the
/// callback returns and kept a while, so that a later look finds nothing but the same byte again and again.
@safe struct PoisonedBuffers: ~Copyable {
    /// What is written over them. It is no UTF-8 beside itself.
    static let poison: UInt8 = 0xDB
    /// So many bytes of them are kept.
    private static let room = 16 << 20

    private var kept: [UnsafeMutableRawBufferPointer]
    private var size = 0

    init() { unsafe kept = [] }

    deinit {
        for index in unsafe kept.indices { unsafe kept[index].deallocate() }
    }

    /// A copy to be lent; `spoil` takes it back. Of nothing there is none.
    func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        if bytes.count == 0 { return unsafe UnsafeMutableRawBufferPointer(mutating: bytes) }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
        unsafe copy.copyMemory(from: bytes)
        return unsafe copy
    }

    /// Overwrites a copy and keeps it until there are too many.
    mutating func spoil(_ copy: UnsafeMutableRawBufferPointer) {
        if copy.count == 0 { return }
        unsafe copy.initializeMemory(as: UInt8.self, repeating: Self.poison)
        unsafe kept.append(copy)
        size += copy.count
        var count = 0
        while size > Self.room, unsafe count < kept.count {
            size -= unsafe kept[count].count
            unsafe kept[count].deallocate()
            count += 1
        }
        if count > 0 { unsafe kept.removeFirst(count) }
    }

    /// Whether bytes come from a copy that was overwritten: eight of them in a row, or nothing else.
    static func isPoisoned(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let wanted = min(8, bytes.count)
        guard wanted >= 2 else { return false }
        var run = 0
        for index in bytes.indices {
            run = unsafe bytes[index] == poison ? run + 1 : 0
            if run == wanted { return true }
        }
        return false
    }
}
