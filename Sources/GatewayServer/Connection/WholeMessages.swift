import Bytes
import WebSocket

/// A frame of ours as it stands in a queue (RFC 6455 5.2).
struct QueuedFrame {
    let opcode: Opcode
    let isFinal: Bool
    /// From its first byte to behind its last one.
    let range: Range<Int>

    /// Control frames stand between the fragments of messages, and belong to none (5.4).
    var isControl: Bool { opcode.rawValue & 0x8 != 0 }
}

extension SendQueue.Cursor {
    /// Walks over the frame that begins here; nil when there is no whole one.
    mutating func nextFrame() -> QueuedFrame? {
        let start = position
        guard let first = next(), let second = next(), let opcode = Opcode(rawValue: first & 0x0F) else { return nil }
        var length = Int(second)
        if length >= 126 {
            let wide = length == 126 ? 2 : 8
            length = 0
            for _ in 0..<wide {
                guard let byte = next() else { return nil }
                length = length << 8 | Int(byte)
            }
        }
        guard skip(length) else { return nil }
        return QueuedFrame(opcode: opcode, isFinal: first & 0x80 != 0, range: start..<position)
    }
}

/// The oldest messages in a queue that are whole in it: those that may be given up. Fragments of one whose beginning has
/// left, or whose end has not come, stay; so do control frames.
struct WholeMessages {
    /// Where their frames are, in order; neighbours are one.
    private(set) var ranges: [Range<Int>] = []
    /// Bytes of all of them.
    private(set) var bytes = 0
    private(set) var count = 0

    /// None.
    init() {}

    /// - Parameters:
    ///   - border: where a frame begins.
    ///   - least: how many bytes to look for.
    init(in queue: borrowing SendQueue, from border: Int, atLeast least: Int) {
        var cursor = queue.cursor
        guard cursor.skip(border) else { return }
        // Frames of the message that the cursor is in, if its beginning is here.
        var parts: [Range<Int>] = []
        while bytes < least, let frame = cursor.nextFrame() {
            if frame.isControl || frame.opcode == .continuation && parts.isEmpty { continue }
            parts.append(frame.range)
            guard frame.isFinal else { continue }
            for part in parts { add(part) }
            count += 1
            parts.removeAll(keepingCapacity: true)
        }
    }

    private mutating func add(_ range: Range<Int>) {
        bytes += range.count
        if let last = ranges.last, last.upperBound == range.lowerBound {
            ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
            ranges.append(range)
        }
    }

    /// Takes them out of the queue that they were found in.
    func remove(from queue: inout SendQueue, pool: borrowing BlockPool) {
        for range in ranges.reversed() { queue.remove(range, pool: pool) }
    }
}
