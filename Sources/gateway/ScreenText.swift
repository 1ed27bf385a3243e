/// Text on the grid of a terminal.
package enum ScreenText {
    /// What is drawn for a character, and how many columns that takes.
    static func cell(_ character: Character) -> (text: String, width: Int) {
        guard let first = character.unicodeScalars.first else { return ("", 0) }
        switch first.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
            return (first == "\n" ? "⏎" : first == "\t" ? " " : "\u{FFFD}", 1)
        case .nonspacingMark, .enclosingMark: return (String(character), 0)
        default: return (String(character), isWide(first) ? 2 : 1)
        }
    }

    /// How many columns a text takes.
    package static func width(_ text: String) -> Int { text.reduce(0) { $0 + cell($1).width } }

    /// The text in exactly so many columns: filled up with blanks, or cut with a mark where it was.
    package static func fitted(_ text: String, _ width: Int, atRight: Bool = false) -> String {
        guard width > 0 else { return "" }
        let cells = text.map { cell($0) }
        let whole = cells.reduce(0) { $0 + $1.width }
        if whole <= width {
            let blanks = String(repeating: " ", count: width - whole)
            let shown = cells.map(\.text).joined()
            return atRight ? blanks + shown : shown + blanks
        }
        var (result, used) = ("", 0)
        for cell in cells {
            guard used + cell.width < width else { break }
            result += cell.text
            used += cell.width
        }
        return result + "…" + String(repeating: " ", count: max(0, width - used - 1))
    }

    /// East Asian characters and pictures (Unicode Standard Annex 11), as far as terminals agree on them.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
            0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD:
            true
        default: false
        }
    }
}
