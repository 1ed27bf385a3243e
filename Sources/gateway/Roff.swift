/// A page in the language of man(7).
package struct Roff: Sendable {
    package private(set) var text: String
    /// What follows needs no distance.
    private var isBelowHeading = false

    /// The longest line it writes, as roff itself does not mind but readers of the source do.
    private static let width = 76

    package init(_ title: String, section: Int, source: String, date: String, manual: String) {
        text = ".TH \"\(title)\" \(section) \"\(date)\" \"\(source)\" \"\(manual)\"\n"
    }

    package mutating func section(_ title: String) { head(".SH", title.uppercased()) }

    package mutating func subsection(_ title: String) { head(".SS", title) }

    private mutating func head(_ request: String, _ title: String) {
        text += "\(request) \(Self.argument(title))\n"
        isBelowHeading = true
    }

    /// Sets a paragraph apart; none stands below a heading.
    package mutating func paragraph(_ words: String) {
        keepDistance()
        text += Self.filled(words)
    }

    private mutating func keepDistance() {
        text += isBelowHeading ? "" : ".PP\n"
        isBelowHeading = false
    }

    /// A term and what it means.
    package mutating func item(_ term: String, _ meaning: String) {
        isBelowHeading = false
        text += ".TP\n.B \(Self.argument(term))\n" + Self.filled(meaning)
    }

    /// More about the term above.
    package mutating func more(_ words: String) { text += ".br\n" + Self.filled(words) }

    /// Lines as they are.
    package mutating func code(_ lines: [String]) {
        keepDistance()
        text += ".RS 4\n.nf\n" + lines.map { Self.line(Self.escaped($0)) + "\n" }.joined() + ".fi\n.RE\n"
    }

    /// Words, filled into lines; what stands between backquotes is bold.
    private static func filled(_ words: String) -> String {
        var lines: [String] = [""]
        var isBold = false
        for word in words.split(separator: " ") {
            var shown = ""
            for (number, part) in word.split(separator: "`", omittingEmptySubsequences: false).enumerated() {
                if number > 0 {
                    isBold.toggle()
                    shown += isBold ? "\\fB" : "\\fR"
                }
                shown += escaped(String(part))
            }
            let line = lines[lines.count - 1]
            if line.isEmpty {
                lines[lines.count - 1] = shown
            } else if line.count + 1 + shown.count <= width {
                lines[lines.count - 1] = line + " " + shown
            } else {
                lines.append(shown)
            }
        }
        return lines.map { line($0) + "\n" }.joined()
    }

    /// What a line begins with must not be taken for a request.
    private static func line(_ text: String) -> String {
        text.isEmpty ? "\\&" : text.hasPrefix(".") || text.hasPrefix("'") ? "\\&" + text : text
    }

    /// One word of a request.
    private static func argument(_ text: String) -> String { "\"\(escaped(text))\"" }

    /// Characters as they are, in every font and as ASCII.
    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "\\": "\\e"
            case "-": "\\-"
            case "'": "\\(aq"
            case "\"": "\\(dq"
            case "`": "\\(ga"
            case "^": "\\(ha"
            case "~": "\\(ti"
            default: String(character)
            }
        }.joined()
    }
}
