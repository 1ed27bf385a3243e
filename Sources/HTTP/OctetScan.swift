/// Reading borrowed bytes one by one, by the word, and against a text.
extension Span<UInt8> {
    /// The offset of the first control byte (HTAB, CR, LF, NUL, DEL ...) at or behind `start`, else the count.
    ///
    /// Takes eight bytes at a time: most of a head is text that only has to be free of controls.
    func indexOfControl(from start: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        // Bytes have no padding and every one is a valid UInt8, so their bytes may be seen as words.
        let words = unsafe bytes
        var position = start
        while position &+ 8 <= count {
            // The load checks its bounds; unsafe is only that any type could be named.
            let word = UInt64(littleEndian: unsafe words.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self))
            let deletes = word ^ (ones &* 0x7F)
            // The top bit of a byte below 0x20, or equal to 0x7F. Borrows only spoil bits above the first hit.
            let hits = ((word &- ones &* 0x20) & ~word | (deletes &- ones) & ~deletes) & tops
            if hits != 0 { return position &+ hits.trailingZeroBitCount >> 3 }
            position &+= 8
        }
        while position < count, !Octet.isControl(self[position]) { position &+= 1 }
        return Swift.min(position, count)
    }

    /// Whether the bytes in `range` are exactly those of `text`.
    public func equals(_ text: Span<UInt8>, in range: Range<Int>) -> Bool {
        guard range.count == text.count else { return false }
        for offset in 0..<text.count where self[range.lowerBound &+ offset] != text[offset] {
            return false
        }
        return true
    }

    /// Whether the bytes in `range` are those of `text`, whatever the case of ASCII letters.
    public func equalsIgnoringCase(_ text: Span<UInt8>, in range: Range<Int>) -> Bool {
        guard range.count == text.count else { return false }
        for offset in 0..<text.count
        where Octet.lowercased(self[range.lowerBound &+ offset]) != Octet.lowercased(text[offset]) {
            return false
        }
        return true
    }

    /// Whether the bytes in `range` are exactly those of `text`.
    @inline(__always)
    public func equals(_ text: String, in range: Range<Int>) -> Bool {
        // The count comes first because a short text has to be laid out in memory for its span.
        text.utf8.count == range.count && equals(text.utf8.span, in: range)
    }

    /// Whether the bytes in `range` are those of `text`, whatever the case of ASCII letters.
    @inline(__always)
    public func equalsIgnoringCase(_ text: String, in range: Range<Int>) -> Bool {
        text.utf8.count == range.count && equalsIgnoringCase(text.utf8.span, in: range)
    }

    /// The range without optional whitespace at both ends.
    public func trimmingWhitespace(_ range: Range<Int>) -> Range<Int> {
        var lower = range.lowerBound
        var upper = range.upperBound
        while lower < upper, Octet.isWhitespace(self[lower]) { lower &+= 1 }
        while upper > lower, Octet.isWhitespace(self[upper &- 1]) { upper &-= 1 }
        return lower..<upper
    }

    /// The first offset of a byte in `range`; nil if it is not there.
    public func firstIndex(of wanted: UInt8, in range: Range<Int>) -> Int? {
        for offset in range where self[offset] == wanted { return offset }
        return nil
    }

    /// A copy of the bytes in `range`.
    public func copy(_ range: Range<Int>) -> [UInt8] {
        // The array takes its copy before the pointer ends.
        unsafe extracting(range).withUnsafeBufferPointer { unsafe [UInt8]($0) }
    }
}

extension [UInt8] {
    /// Writes a number that is not negative in decimal.
    public mutating func append(decimal number: Int) {
        if number > 9 { append(decimal: number / 10) }
        append(0x30 &+ UInt8(truncatingIfNeeded: number % 10))
    }

    /// Writes a number below 100 with two digits.
    public mutating func append(twoDigits number: Int) {
        append(0x30 &+ UInt8(truncatingIfNeeded: number / 10 % 10))
        append(0x30 &+ UInt8(truncatingIfNeeded: number % 10))
    }
}
