/// Where a worker reads what its sockets have: one buffer for all connections, with a margin in front of it in which
/// the rest of the last read finds place, so that a frame is seen in one run. The worker's thread alone.
@safe struct ReadBuffer: ~Copyable {
    /// One read takes at most so much; a peer that has more gets another turn.
    static let readSize = 256 * 1024
    /// Room in front for what was left of the last read.
    static let margin = 256

    private let start: UnsafeMutableRawPointer

    init() {
        unsafe start = .allocate(byteCount: Self.margin + Self.readSize, alignment: 64) + Self.margin
    }

    deinit { unsafe (start - Self.margin).deallocate() }

    /// The first bytes behind the margin: where a read goes, and where what it read lies.
    @inline(__always)
    func front(_ count: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: start, count: count)
    }

    /// Puts what was left of the last read before so many bytes that have been read since.
    ///
    /// - Parameter rest: at most `margin` bytes.
    func join(_ rest: UnsafeRawBufferPointer, with count: Int) -> UnsafeMutableRawBufferPointer {
        let joined = unsafe UnsafeMutableRawBufferPointer(start: start - rest.count, count: rest.count + count)
        unsafe joined.copyMemory(from: rest)
        return unsafe joined
    }
}
