/// A few large buffers that are kept for the next large messages: fresh memory costs a page fault for every 4 KiB.
///
/// Bounded in number and size, so what a burst leaves behind is little. One thread owns it.
@safe
public struct LargeBufferCache: ~Copyable {
    /// How many are kept.
    public static let places = 8
    /// Smaller ones are not worth it, larger ones are too dear.
    public static let sizes = 64 * 1024...4 << 20
    /// Bytes of all together.
    public static let mostBytes = 8 << 20

    private let buffers: UnsafeMutablePointer<ByteBuffer>
    /// How many there are.
    public private(set) var count = 0
    /// What they come to.
    public private(set) var bytes = 0

    public init() {
        unsafe buffers = .allocate(capacity: Self.places)
    }

    deinit {
        unsafe buffers.deinitialize(count: count)
        unsafe buffers.deallocate()
    }

    /// The buffer that was put away last, with nothing in it; one without memory when there is none.
    public mutating func take() -> ByteBuffer {
        if count == 0 { return ByteBuffer() }
        count -= 1
        let buffer = unsafe (buffers + count).move()
        bytes -= buffer.capacity
        return buffer
    }

    /// Puts a buffer away, or frees it.
    public mutating func put(away buffer: consuming ByteBuffer) {
        let capacity = buffer.capacity
        guard count < Self.places, Self.sizes.contains(capacity), bytes + capacity <= Self.mostBytes else { return }
        buffer.removeAll()
        bytes += capacity
        unsafe (buffers + count).initialize(to: buffer)
        count += 1
    }
}
