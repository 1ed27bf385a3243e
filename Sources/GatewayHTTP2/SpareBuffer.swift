import Bytes

/// Memory for what lies in one stream after the other for the length of a turn, so that idle ones need not keep any.
package final class SpareBuffer {
    /// What a stream keeps of its own while nothing lies in it.
    private static let idleCapacity = 1024
    /// More is given back.
    private static let mostCapacity = 256 * 1024

    private var memory = ByteBuffer()

    package init() {}

    /// Something is to be put into a buffer.
    func lend(to buffer: inout ByteBuffer) {
        if buffer.capacity == 0 { swap(&buffer, &memory) }
    }

    /// Nothing lies in it any more.
    func takeBack(_ buffer: inout ByteBuffer) {
        buffer.removeAll()
        if buffer.capacity <= Self.idleCapacity { return }
        if memory.capacity < buffer.capacity, buffer.capacity <= Self.mostCapacity { swap(&buffer, &memory) }
        buffer.free()
    }
}
