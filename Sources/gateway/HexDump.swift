/// Bytes as people read them: where, what, and what of that is ASCII.
package enum HexDump {
    /// A longer message is shown up to here.
    private static let most = 4096

    /// Lines without an end behind the last one; a note says what is left out.
    package static func text(_ bytes: [UInt8], atMost most: Int = Self.most) -> String {
        var lines: [String] = []
        for start in stride(from: 0, to: min(bytes.count, most), by: 16) {
            let row = bytes[start..<min(start + 16, bytes.count, most)]
            var columns = ""
            for (index, byte) in row.enumerated() { columns += (index == 8 ? "  " : " ") + hex(byte) }
            columns += String(repeating: " ", count: max(0, 49 - columns.utf8.count))
            let letters = row.map { (0x20..<0x7F).contains($0) ? Character(Unicode.Scalar($0)) : "." }
            lines.append("\(offset(start)) \(columns)  \(String(letters))")
        }
        if bytes.count > most { lines.append("... \(bytes.count - most) more bytes") }
        return lines.joined(separator: "\n")
    }

    /// All bytes as digits, without blanks.
    package static func digits(_ bytes: [UInt8]) -> String { bytes.map { hex($0) }.joined() }

    /// The bytes that digits mean, with or without blanks; nil where it is not pairs of digits.
    package static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let digits = String(text.filter { !$0.isWhitespace })
        guard digits.utf8.count % 2 == 0, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        let units = Array(digits)
        return stride(from: 0, to: units.count, by: 2).compactMap { UInt8(String(units[$0...$0 + 1]), radix: 16) }
    }

    private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

    private static func offset(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }
}
