import Glibc

/// Taking something out of the middle, for owners that know what stands where.
extension SendQueue {
    /// Walks over the bytes of a queue; good until the queue changes.
    @safe
    public struct Cursor {
        private var block: UnsafeMutablePointer<Block>?
        /// Of the block, from its first byte that has not been sent.
        private var offset = 0
        /// Bytes in front of it.
        public private(set) var position = 0

        fileprivate init(_ block: UnsafeMutablePointer<Block>?) { unsafe self.block = block }

        /// The next byte; nil at the end.
        public mutating func next() -> UInt8? {
            while let current = unsafe block {
                let held = unsafe current.pointee.end &- current.pointee.start
                if offset < held {
                    let byte = unsafe (current.pointee.base + current.pointee.start + offset).load(as: UInt8.self)
                    offset &+= 1
                    position &+= 1
                    return byte
                }
                unsafe block = current.pointee.next
                offset = 0
            }
            return nil
        }

        /// Moves on by so many bytes.
        ///
        /// - Returns: false when there are not so many; it is at the end then.
        public mutating func skip(_ count: Int) -> Bool {
            var left = count
            while let current = unsafe block {
                let held = unsafe current.pointee.end &- current.pointee.start &- offset
                if left <= held {
                    offset &+= left
                    position &+= left
                    return true
                }
                left &-= held
                position &+= held
                unsafe block = current.pointee.next
                offset = 0
            }
            return left == 0
        }
    }

    /// A copy of everything that has not been sent.
    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var block = unsafe first
        while let current = unsafe block {
            let held = unsafe current.pointee.end - current.pointee.start
            unsafe bytes.append(
                contentsOf: UnsafeRawBufferPointer(start: current.pointee.base + current.pointee.start, count: held))
            unsafe block = current.pointee.next
        }
        return bytes
    }

    /// Visits what has not been sent from a place on, run by run.
    public func visit(from start: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
        var skipped = start
        var block = unsafe first
        while let current = unsafe block {
            let held = unsafe current.pointee.end - current.pointee.start
            let cut = min(skipped, held)
            skipped -= cut
            if cut < held {
                let run = unsafe current.pointee.base + current.pointee.start + cut
                unsafe body(UnsafeRawBufferPointer(start: run, count: held - cut))
            }
            unsafe block = current.pointee.next
        }
    }

    /// A cursor in front of the first byte.
    public var cursor: Cursor { unsafe Cursor(first) }

    /// Takes bytes out of the queue. None of them may be lent (`appendInPlace`).
    public mutating func remove(_ range: Range<Int>, pool: borrowing BlockPool) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "cut more than was queued")
        var others = SendQueue()
        swap(&self, &others)
        var position = 0
        while let block = unsafe others.first {
            unsafe others.first = block.pointee.next
            unsafe block.pointee.next = nil
            let held = unsafe block.pointee.end - block.pointee.start
            let cut = range.clamped(to: position..<position + held)
            unsafe keep(block, without: cut.lowerBound - position..<cut.upperBound - position, pool)
            position += held
        }
        unsafe others.last = nil
        others.count = 0
    }

    /// Links a block of which a part is not wanted.
    private mutating func keep(
        _ block: UnsafeMutablePointer<Block>, without cut: Range<Int>, _ pool: borrowing BlockPool
    ) {
        let held = unsafe block.pointee.end - block.pointee.start
        if cut.count == held {
            unsafe pool.give(back: block)
            return
        }
        count += held - cut.count
        unsafe link(block)
        if cut.isEmpty { return }
        let (start, end) = unsafe (block.pointee.start, block.pointee.end)
        if cut.lowerBound == 0 {
            unsafe block.pointee.start += cut.count
        } else if cut.upperBound == held {
            unsafe block.pointee.end -= cut.count
        } else if let shared = unsafe block.pointee.shared {
            // What is shared stays as it is: one reference becomes two.
            unsafe block.pointee.end = start + cut.lowerBound
            unsafe shared.pointee.retain()
            guard let rest = unsafe pool.refer(to: shared, from: start + cut.upperBound) else {
                preconditionFailure("a buffer with bytes in it has none")
            }
            unsafe rest.pointee.end = end
            unsafe link(rest)
        } else {
            let hole = unsafe block.pointee.base + start + cut.lowerBound
            unsafe memmove(hole, hole + cut.count, held - cut.upperBound)
            unsafe block.pointee.end -= cut.count
        }
    }
}
