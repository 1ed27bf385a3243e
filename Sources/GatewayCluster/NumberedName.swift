import Bytes
import Synchronization

/// A name that an engine knows, at a place that does not move, and the number of what was published to it last.
@safe final class NumberedName: Sendable {
    // Written by `init` alone.
    private let start: SendablePointer<UnsafeMutableRawPointer>
    let count: Int
    /// Of which table of a queue it is: the numbers of a table begin behind it.
    let table: UInt64
    /// Under the lock of that queue; 0 before the first one.
    private let last = Atomic<UInt64>(0)

    init(_ bytes: [UInt8], table: UInt64) {
        let place = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        unsafe UnsafeMutableRawBufferPointer(start: place, count: bytes.count).copyBytes(from: bytes)
        unsafe start = SendablePointer(place)
        (count, self.table) = (bytes.count, table)
    }

    deinit { unsafe start.pointer.deallocate() }

    /// As long as it lives.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start.pointer, count: count) }
    var copy: [UInt8] { unsafe Array(bytes) }

    /// The next number, and whether it is the first one.
    @inline(__always)
    func next() -> (number: UInt64, isFirst: Bool) {
        let known = last.load(ordering: .relaxed)
        let number = (known == 0 ? table : known) &+ 1
        last.store(number, ordering: .relaxed)
        return (number, known == 0)
    }
}
