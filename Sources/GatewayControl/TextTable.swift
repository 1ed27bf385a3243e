import Bytes

/// Text with a colour for terminals; its width is that of the text.
struct StyledText {
    /// Colours say how well something is.
    enum Style: String {
        case plain = ""
        case bold = "1"
        case good = "32"
        case doubtful = "33"
        case bad = "1;31"
        case faint = "2"
    }

    let text: String
    let style: Style

    /// Bytes of handlers, files and peers cannot drive the terminal or end a line of a table.
    init(_ text: String, _ style: Style = .plain) {
        self.text = PrintableText.escaped(text.split(separator: "\n").joined(separator: " "))
        self.style = style
    }

    /// Each line of a longer text by itself, without its indentation.
    static func lines(_ text: String, _ style: Style = .plain) -> [StyledText] {
        text.split(separator: "\n").map { line in StyledText(String(line.drop { $0 == " " }), style) }
    }

    var width: Int { text.unicodeScalars.count }

    func rendered(colour: Bool) -> String {
        guard colour, style != .plain, !text.isEmpty else { return text }
        return "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m"
    }
}

/// Rows of text in aligned columns.
struct TextTable {
    struct Column {
        let title: String
        /// Numbers stand at the right.
        var isNumber = false
    }

    private struct Row {
        let cells: [StyledText]
        /// Lines below the row.
        let notes: [StyledText]
    }

    private let columns: [Column]
    private let indent: String
    private var rows: [Row] = []

    init(_ columns: [Column], indent: String = "") {
        self.columns = columns
        self.indent = indent
    }

    mutating func add(_ cells: [StyledText], notes: [StyledText] = []) {
        rows.append(Row(cells: cells, notes: notes))
    }

    func text(colour: Bool) -> String {
        let titles = columns.map { StyledText($0.title, .bold) }
        let widths = columns.indices.map { index in
            rows.map { $0.cells[index].width }.reduce(titles[index].width) { max($0, $1) }
        }
        var text = line(titles, widths, colour)
        for row in rows {
            text += line(row.cells, widths, colour)
            for note in row.notes { text += indent + "    " + note.rendered(colour: colour) + "\n" }
        }
        return text
    }

    private func line(_ cells: [StyledText], _ widths: [Int], _ colour: Bool) -> String {
        var line = indent
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.width)
            let shown = cell.rendered(colour: colour)
            if columns[index].isNumber {
                line += padding + shown
            } else {
                // Nothing follows the last column, so nothing is filled up behind it.
                line += index == cells.count - 1 ? shown : shown + padding
            }
            if index < cells.count - 1 { line += "  " }
        }
        while line.utf8.last == UInt8(ascii: " ") { line.removeLast() }
        return line + "\n"
    }
}
