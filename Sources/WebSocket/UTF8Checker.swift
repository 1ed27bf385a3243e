import CSimdjson

/// Checks that bytes which come in pieces are UTF-8, and says so at the first byte that makes it impossible.
///
/// RFC 6455 8.1 and RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. Between pieces it holds at
/// most the three bytes of an unfinished sequence.
public struct UTF8Checker: Sendable {
    /// The unfinished sequence, first byte lowest.
    private var held: UInt32 = 0
    private var heldCount: UInt8 = 0

    public init() {}

    /// The bytes so far end between two characters.
    public var isComplete: Bool { heldCount == 0 }
    /// Bytes of a character that is not finished.
    public var heldBytes: Int { Int(heldCount) }

    /// The bytes of the character that is not finished, so that another checker can go on from there.
    public var unfinished: [UInt8] { (0..<heldBytes).map { UInt8(truncatingIfNeeded: held >> (UInt32($0) * 8)) } }

    /// Goes on where another checker stood.
    ///
    /// - Returns: nil where no character begins like that.
    public init?(unfinished: [UInt8]) {
        let isBeginning = unsafe unfinished.withUnsafeBytes { unsafe accept($0) }
        guard isBeginning, heldBytes == unfinished.count else { return nil }
    }

    /// Whether bytes are UTF-8 from beginning to end.
    @inline(__always)
    public static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
        if bytes.count >= 64 { return unsafe isValidSlow(bytes) }
        // Most text is short and ASCII: look eight bytes at a time before simdjson is called.
        var at = 0
        while at &+ 8 <= bytes.count {
            if unsafe base.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { break }
            at &+= 8
        }
        while at < bytes.count {
            if unsafe base.load(fromByteOffset: at, as: UInt8.self) & 0x80 != 0 {
                return unsafe isValidSlow(UnsafeRawBufferPointer(rebasing: bytes[at...]))
            }
            at &+= 1
        }
        return true
    }

    @inline(never)
    private static func isValidSlow(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe csimdjson_is_utf8(bytes.baseAddress, bytes.count)
    }

    /// Takes the next piece.
    ///
    /// - Returns: false when no continuation can make this UTF-8.
    public mutating func accept(_ piece: UnsafeRawBufferPointer) -> Bool {
        var start = 0
        while heldCount > 0, start < piece.count {
            held |= UInt32(unsafe piece[start]) << (UInt32(heldCount) * 8)
            heldCount += 1
            start += 1
            switch Self.state(held, Int(heldCount)) {
            case .invalid: return false
            case .unfinished: continue
            case .whole: (held, heldCount) = (0, 0)
            }
        }
        let rest = unsafe UnsafeRawBufferPointer(rebasing: piece[start...])
        let tail = unsafe Self.unfinishedTail(of: rest)
        guard unsafe Self.isValid(UnsafeRawBufferPointer(rebasing: rest[..<(rest.count - tail)])) else { return false }
        for index in rest.count - tail..<rest.count {
            held |= UInt32(unsafe rest[index]) << (UInt32(heldCount) * 8)
            heldCount += 1
        }
        return tail == 0 || Self.state(held, tail) == .unfinished
    }

    /// How many bytes at the end begin a sequence that is longer than they are.
    private static func unfinishedTail(of bytes: UnsafeRawBufferPointer) -> Int {
        for back in 1...3 where back <= bytes.count {
            let byte = unsafe bytes[bytes.count - back]
            if byte & 0xC0 == 0x80 { continue }
            return length(byte) > back ? back : 0
        }
        return 0
    }

    private static func length(_ lead: UInt8) -> Int {
        switch lead {
        case 0xC0...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xFF: 4
        default: 1
        }
    }

    private enum State {
        case invalid
        case unfinished
        case whole
    }

    /// Judges the first bytes of one sequence (RFC 3629 4, the table UTF8-bytes).
    private static func state(_ bytes: UInt32, _ count: Int) -> State {
        let lead = UInt8(truncatingIfNeeded: bytes)
        guard (0xC2...0xF4).contains(lead) else { return .invalid }
        if count >= 2 {
            let second = UInt8(truncatingIfNeeded: bytes >> 8)
            let allowed: ClosedRange<UInt8> =
                switch lead {
                case 0xE0: 0xA0...0xBF
                case 0xED: 0x80...0x9F
                case 0xF0: 0x90...0xBF
                case 0xF4: 0x80...0x8F
                default: 0x80...0xBF
                }
            guard allowed.contains(second) else { return .invalid }
        }
        for index in 2..<max(2, count) where UInt8(truncatingIfNeeded: bytes >> (UInt32(index) * 8)) & 0xC0 != 0x80 {
            return .invalid
        }
        return count == length(lead) ? .whole : .unfinished
    }
}
