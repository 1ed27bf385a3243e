/// Gives out the bytes of one worker's arena. What it knows is its own process's: a reader goes by the entries.
///
/// Blocks have sizes of four steps between one power of two and the next, so that a block which is given back fits the
/// next that is asked for. Memory that was never used takes none.
struct LedgerArena {
    /// A run of bytes; none where its size is 0.
    struct Block: Equatable {
        /// In the file.
        var offset = 0
        var size = 0

        var isNone: Bool { size == 0 }
        var range: Range<Int> { offset..<offset + size }
    }

    private let end: Int
    private var top: Int
    /// What was ever given out lies in front of it.
    var used: Int { top }
    /// Blocks that were given back, by their size.
    private var free: [[Int]] = []

    init(_ range: Range<Int>) {
        // 0 means nowhere, and the first arena does not begin there.
        (top, end) = (range.lowerBound, range.upperBound)
    }

    private static let smallest = 64

    /// The size class of so many bytes, and the size of its blocks.
    static func fit(_ bytes: Int) -> (index: Int, size: Int) {
        func power(_ bytes: Int) -> Int { Int.bitWidth - 1 - bytes.leadingZeroBitCount }
        let wanted = max(bytes, smallest)
        let step = 1 << (power(wanted) - 2)
        let size = (wanted + step - 1) / step * step
        let exponent = power(size)
        return ((exponent - power(smallest)) * 4 + (size >> (exponent - 2)) - 4, size)
    }

    /// - Returns: nil where there is no room.
    mutating func take(_ bytes: Int) -> Block? {
        let (index, size) = Self.fit(bytes)
        if index < free.count, let offset = free[index].popLast() { return Block(offset: offset, size: size) }
        // What takes pages gets whole ones, which can be given back to the kernel.
        let start = size >= LedgerLayout.page ? (top + LedgerLayout.page - 1) & ~(LedgerLayout.page - 1) : top
        guard size <= end - start else { return nil }
        top = start + size
        return Block(offset: start, size: size)
    }

    mutating func give(back block: Block) {
        if block.isNone { return }
        let (index, _) = Self.fit(block.size)
        while free.count <= index { free.append([]) }
        free[index].append(block.offset)
    }
}
