public import Glibc

/// What one connection still has to send, in order: blocks of copied bytes and references to shared ones.
///
/// Empty queues hold no memory. One thread owns queue and pool; the pool lent to the calls is always the same.
@safe
public struct SendQueue: ~Copyable {
    public typealias Block = BlockPool.Block

    var first: UnsafeMutablePointer<Block>?
    var last: UnsafeMutablePointer<Block>?
    /// Bytes that have not been sent.
    public internal(set) var count = 0

    public init() {}

    deinit { precondition(unsafe first == nil, "a send queue was dropped with blocks in it") }

    public var isEmpty: Bool { count == 0 }

    /// Appends a frame header of up to ten bytes, given as the little-endian words it is stored with.
    @inline(__always)
    public mutating func append(
        header low: UInt64, _ high: UInt16, count length: Int, pool: borrowing BlockPool, size: BlockPool.Size
    ) {
        let block = unsafe room(16, pool, size)
        let target = unsafe block.pointee.base + block.pointee.end
        unsafe target.storeBytes(of: low.littleEndian, as: UInt64.self)
        unsafe (target + 8).storeBytes(of: high.littleEndian, as: UInt16.self)
        unsafe block.pointee.end &+= length
        count &+= length
    }

    /// Appends a copy.
    @inline(__always)
    public mutating func append(
        _ bytes: UnsafeRawBufferPointer, pool: borrowing BlockPool, size: BlockPool.Size
    ) {
        guard var source = bytes.baseAddress else { return }
        var left = bytes.count
        count &+= left
        while left > 0 {
            let block = unsafe room(1, pool, size)
            let step = unsafe min(left, block.pointee.capacity &- block.pointee.end)
            unsafe memcpy(block.pointee.base + block.pointee.end, source, step)
            unsafe block.pointee.end &+= step
            unsafe source += step
            left &-= step
        }
    }

    /// Appends a frame whose payload stays where it is: its header is written into the bytes in front of it.
    ///
    /// A run of such frames that lie one behind the other is one block. The bytes are lent: before they change, the
    /// queue has to be empty again or `keep` them. One queue of a pool at a time has such a run.
    ///
    /// - Parameter header: two or four bytes, as `append(header:)` takes them; so many bytes in front of the payload
    ///   belong to the caller.
    /// - Returns: false, and nothing was done, when there is no place for the frame but behind something else.
    @inline(__always)
    public mutating func appendInPlace(
        header low: UInt64, count length: Int, payload start: UnsafeMutableRawPointer, count bytes: Int,
        pool: borrowing BlockPool
    ) -> Bool {
        let front = unsafe start - length
        let inPlaceRun = unsafe pool.inPlaceRun
        if let last = unsafe last {
            guard unsafe last == inPlaceRun, unsafe inPlaceRun.pointee.base + inPlaceRun.pointee.end == front else {
                return false
            }
        } else {
            // The run may have stood before another block when it was lent last.
            unsafe inPlaceRun.pointee.next = nil
            unsafe inPlaceRun.pointee.base = front
            unsafe inPlaceRun.pointee.start = 0
            unsafe first = inPlaceRun
            unsafe last = inPlaceRun
        }
        if length == 2 {
            unsafe front.storeBytes(of: UInt16(truncatingIfNeeded: low).littleEndian, as: UInt16.self)
        } else {
            unsafe front.storeBytes(of: UInt32(truncatingIfNeeded: low).littleEndian, as: UInt32.self)
        }
        unsafe inPlaceRun.pointee.end &+= length &+ bytes
        count &+= length &+ bytes
        return true
    }

    /// Behind the lent bytes, if nothing stands behind them in the queue: where the next frame's header would go.
    @inline(__always)
    public func endOfInPlaceRun(pool: borrowing BlockPool) -> UnsafeMutableRawPointer? {
        guard let last = unsafe last, unsafe last == pool.inPlaceRun else { return nil }
        return unsafe last.pointee.base + last.pointee.end
    }

    /// Copies what is left of lent bytes, which are about to change.
    public mutating func keep(pool: borrowing BlockPool) {
        let inPlaceRun = unsafe pool.inPlaceRun
        var others = SendQueue()
        swap(&self, &others)
        while let block = unsafe others.first {
            unsafe others.first = block.pointee.next
            unsafe block.pointee.next = nil
            if unsafe block == inPlaceRun {
                let left = unsafe UnsafeRawBufferPointer(
                    start: block.pointee.base + block.pointee.start, count: block.pointee.end - block.pointee.start)
                unsafe append(left, pool: pool, size: .large)
                unsafe pool.give(back: block)
            } else {
                count += unsafe block.pointee.end - block.pointee.start
                unsafe link(block)
            }
        }
        unsafe others.last = nil
        others.count = 0
    }

    /// Appends a reference and takes over one ownership of what it refers to.
    public mutating func append(
        shared: UnsafeMutablePointer<SharedBuffer>, from start: Int, pool: borrowing BlockPool
    ) {
        let bytes = unsafe shared.pointee.count - start
        guard bytes > 0, let block = unsafe pool.refer(to: shared, from: start) else {
            unsafe SharedBuffer.release(shared)
            return
        }
        unsafe link(block)
        count += bytes
    }

    /// Appends what another queue of the same pool holds, and empties that.
    public mutating func append(_ other: inout SendQueue) {
        guard let front = unsafe other.first else { return }
        if let tail = unsafe last { unsafe tail.pointee.next = front } else { unsafe first = front }
        unsafe last = other.last
        count += other.count
        unsafe other.first = nil
        unsafe other.last = nil
        other.count = 0
    }

    /// Describes the front of the queue for one system call.
    ///
    /// - Returns: how many of `vectors` were filled.
    public func gather(into vectors: UnsafeMutableBufferPointer<iovec>) -> Int {
        var filled = 0
        var block = unsafe first
        while let current = unsafe block, filled < vectors.count {
            let base = unsafe current.pointee.base + current.pointee.start
            unsafe vectors[filled] = iovec(iov_base: base, iov_len: current.pointee.end - current.pointee.start)
            filled += 1
            unsafe block = current.pointee.next
        }
        return filled
    }

    /// The only run of bytes; nil when there is none or more than one.
    @inline(__always)
    public var single: UnsafeRawBufferPointer? {
        guard let block = unsafe first, unsafe block.pointee.next == nil else { return nil }
        return unsafe UnsafeRawBufferPointer(
            start: block.pointee.base + block.pointee.start, count: block.pointee.end &- block.pointee.start)
    }

    /// Everything was sent.
    @inline(__always)
    public mutating func removeAll(pool: borrowing BlockPool) {
        if let only = unsafe first, unsafe only.pointee.next == nil {
            if unsafe only == pool.inPlaceRun { unsafe only.pointee.end = 0 } else { unsafe pool.give(back: only) }
            unsafe first = nil
            unsafe last = nil
            count = 0
        } else {
            removeFirst(count, pool: pool)
        }
    }

    /// Forgets bytes that were sent; blocks that are done go back to the pool.
    @inline(never)
    public mutating func removeFirst(_ bytes: Int, pool: borrowing BlockPool) {
        precondition(bytes >= 0 && bytes <= count, "sent more than was queued")
        count &-= bytes
        var left = bytes
        while let block = unsafe first {
            let held = unsafe block.pointee.end &- block.pointee.start
            if held > left {
                unsafe block.pointee.start &+= left
                return
            }
            left &-= held
            unsafe first = block.pointee.next
            unsafe pool.give(back: block)
        }
        unsafe last = nil
    }

    /// The last block when it has so much room, else a new one behind it.
    @inline(__always)
    private mutating func room(
        _ bytes: Int, _ pool: borrowing BlockPool, _ size: BlockPool.Size
    ) -> UnsafeMutablePointer<Block> {
        if let block = unsafe last, unsafe block.pointee.capacity &- block.pointee.end >= bytes { return unsafe block }
        let block = unsafe pool.take(self.size(asked: size))
        unsafe link(block)
        return unsafe block
    }

    @inline(never)
    private func size(asked: BlockPool.Size) -> BlockPool.Size {
        guard let last = unsafe last else { return asked }
        // A second block of copies means that the output is no odd message any more. Behind a reference stands
        // little more than the next header: a large block for each would pin 32 KiB per message of a broadcast.
        return unsafe last.pointee.capacity == 0 ? .small : .large
    }

    mutating func link(_ block: UnsafeMutablePointer<Block>) {
        if let tail = unsafe last { unsafe tail.pointee.next = block } else { unsafe first = block }
        unsafe last = block
    }
}
