/// Where octets lie that a watched handler is lent: each lending has memory of its own, which is overwritten when the
/// callback returns and kept a while, so that whoever looks later finds nothing but the same octet again and again.
@safe struct PoisonedBuffers: ~Copyable {
    /// What is written over them. It is no UTF-8 beside itself.
    static let poison: UInt8 = 0xDB
    /// So many octets of them are kept.
    private static let room = 16 << 20

    private var kept: [UnsafeMutableRawBufferPointer]
    private var size = 0

    init() { unsafe kept = [] }

    deinit {
        for index in unsafe kept.indices { unsafe kept[index].deallocate() }
    }

    /// A copy to be lent; `spoil` takes it back. Of nothing there is none.
    func copy(_ octets: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer {
        if octets.count == 0 { return unsafe UnsafeMutableRawBufferPointer(mutating: octets) }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: octets.count, alignment: 16)
        unsafe copy.copyMemory(from: octets)
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

    /// Whether octets come from a copy that was overwritten: eight of them in a row, or nothing else.
    static func isPoisoned(_ octets: UnsafeRawBufferPointer) -> Bool {
        let wanted = min(8, octets.count)
        guard wanted >= 2 else { return false }
        var run = 0
        for index in octets.indices {
            run = unsafe octets[index] == poison ? run + 1 : 0
            if run == wanted { return true }
        }
        return false
    }
}
