/// Reads the frames of a server out of a stream that may be cut anywhere (RFC 6455 5.2); no I/O.
package struct ServerFrameReader {
    /// A rule that the server broke.
    package enum Violation: String, Sendable {
        /// RFC 6455 5.1: "A server MUST NOT mask any frames that it sends to the client."
        case masked = "a frame of the server is masked"
        /// RFC 6455 5.2: RSV1-3 are 0 unless an extension was agreed on. RFC 7692 6: RSV1 is for the first frame of a
        /// compressed message.
        case reservedBits = "a frame has a reserved bit"
        case reservedOpcode = "a frame has a reserved opcode"
        /// RFC 6455 5.5: at most 125 bytes, never fragmented.
        case badControlFrame = "a control frame is long or fragmented"
        /// RFC 6455 5.2: the minimal number of bytes must be used.
        case badLength = "a length is not written with the fewest bytes"
        case badFragment = "a fragment is out of place"
    }

    /// What came next.
    package enum Step: Equatable {
        /// All bytes are used up.
        case needMore
        /// Bytes of a payload, none in a frame without; `isEnd` when they are its last.
        case payload(Range<Int>, isEnd: Bool)
        case violation(Violation)
    }

    /// Of the frame whose payload is being read.
    package private(set) var opcode: UInt8 = 0
    package private(set) var isFinal = false
    /// Bytes of the payload that have not come yet.
    package private(set) var left: UInt64 = 0
    /// Of the message under way or just ended: 1 or 2.
    package private(set) var messageOpcode: UInt8 = 0
    /// The message under way or just ended is compressed.
    package private(set) var isCompressed = false
    /// permessage-deflate was agreed on.
    package var allowsCompression = false
    private var isInMessage = false
    private var isInside = false
    private var heldCount: UInt8 = 0
    private var held = InlineArray<10, UInt8>(repeating: 0)

    package init() {}

    package var isControl: Bool { opcode & 0x8 != 0 }

    /// Takes one step behind `position` and moves it.
    @inline(__always)
    package mutating func step(_ bytes: Span<UInt8>, at position: inout Int) -> Step {
        if !isInside {
            if position >= bytes.count { return .needMore }
            if let violation = begin(bytes, at: &position) { return .violation(violation) }
            if !isInside { return .needMore }
        }
        let available = bytes.count &- position
        let take = left < UInt64(available) ? Int(truncatingIfNeeded: left) : available
        if take == 0, left > 0 { return .needMore }
        let from = position
        position &+= take
        left &-= UInt64(take)
        if left == 0 {
            isInside = false
            if !isControl, isFinal { isInMessage = false }
        }
        return .payload(from..<position, isEnd: left == 0)
    }

    /// Reads a header; afterwards `isInside` tells whether it was there in full.
    @inline(__always)
    private mutating func begin(_ bytes: Span<UInt8>, at position: inout Int) -> Violation? {
        if heldCount == 0, bytes.count &- position >= 2 {
            let second = bytes[position &+ 1]
            // Most frames arrive whole and are short.
            if second < 126 {
                let first = bytes[position]
                position &+= 2
                return enter(first, UInt64(second))
            }
        }
        return beginInParts(bytes, at: &position)
    }

    private mutating func beginInParts(_ bytes: Span<UInt8>, at position: inout Int) -> Violation? {
        while position < bytes.count {
            held[Int(heldCount)] = bytes[position]
            heldCount += 1
            position += 1
            guard heldCount >= 2 else { continue }
            if held[1] & 0x80 != 0 { return .masked }
            let count = held[1] < 126 ? 2 : held[1] == 126 ? 4 : 10
            guard heldCount == count else { continue }
            heldCount = 0
            guard count > 2 else { return enter(held[0], UInt64(held[1])) }
            var length: UInt64 = 0
            for index in 2..<count { length = length << 8 | UInt64(held[index]) }
            // RFC 6455 5.2: the topmost bit of the long form is 0.
            guard length >= (count == 4 ? 126 : 0x1_0000), length >> 63 == 0 else { return .badLength }
            return enter(held[0], length)
        }
        return nil
    }

    @inline(__always)
    private mutating func enter(_ first: UInt8, _ length: UInt64) -> Violation? {
        if first & 0x70 != 0, !isCompressedMessage(first) { return .reservedBits }
        opcode = first & 0x0F
        isFinal = first & 0x80 != 0
        switch opcode {
        case 1, 2:
            if isInMessage { return .badFragment }
            isInMessage = true
            isCompressed = first & 0x40 != 0
            messageOpcode = opcode
        case 0: if !isInMessage { return .badFragment }
        case 8, 9, 10: if !isFinal || length > 125 { return .badControlFrame }
        default: return .reservedOpcode
        }
        left = length
        isInside = true
        return nil
    }

    private func isCompressedMessage(_ first: UInt8) -> Bool {
        let (bits, opcode) = (first & 0x70, first & 0x0F)
        return allowsCompression && bits == 0x40 && (opcode == 1 || opcode == 2)
    }
}
