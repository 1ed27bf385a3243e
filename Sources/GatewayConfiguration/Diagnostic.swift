/// One thing that is wrong, or odd, in the configuration, with the place it is written at.
package struct Diagnostic: Sendable, Equatable {
    /// How bad it is.
    package enum Severity: String, Sendable {
        /// The configuration cannot be used.
        case error
        /// The configuration can be used, but says something that has no effect or is likely a mistake.
        case warning
    }

    /// How bad it is.
    package var severity: Severity
    /// The file it is about.
    package var file: String
    /// The line, from 1; nil when the file as a whole is meant.
    package var line: Int?
    /// The column in characters, from 1.
    package var column: Int
    /// How many characters are underlined, at least 1.
    package var length: Int
    /// What is wrong, in one sentence.
    package var message: String
    /// The line as it is written, cut to a stretch around the column when it is very long.
    package var sourceLine: String
    /// Where in `sourceLine` the underline begins, from 0.
    package var sourceOffset: Int
    /// Further sentences: why, and what to do.
    package var notes: [String]

    /// A finding about a file as a whole.
    package init(_ severity: Severity, file: String, message: String, notes: [String] = []) {
        self.severity = severity
        self.file = file
        self.message = message
        self.notes = notes
        line = nil
        column = 1
        length = 1
        sourceLine = ""
        sourceOffset = 0
    }

    /// A finding about a stretch of a file.
    init(_ severity: Severity, in source: SourceFile, at range: SourceRange, message: String, notes: [String] = []) {
        self.init(severity, file: source.path, message: message, notes: notes)
        let number = source.line(at: range.lower)
        let scalars = Array(URLSecret.hidden(source.text(ofLine: number)).unicodeScalars)
        line = number
        column = source.column(at: range.lower)
        let covered = String(decoding: source.bytes[range.lower..<range.upper], as: UTF8.self).unicodeScalars.count
        // Never past the end of the line; one place behind it is where something is missing.
        length = max(1, min(covered, scalars.count - (column - 1)))
        // A line may be as long as the file: show what is around the place.
        let start = column <= Self.widest ? 0 : column - Self.widest / 2
        sourceOffset = column - 1 - start
        let shown = scalars.dropFirst(start).prefix(Self.widest * 2)
        sourceLine = String(String.UnicodeScalarView(shown.map(Self.visible)))
        length = max(1, min(length, shown.count - sourceOffset))
    }

    private static let widest = 100

    /// Control characters of the file must not reach a terminal; a tab may, since it is repeated in the underline.
    private static func visible(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        if scalar == "\t" { return scalar }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: return "\u{FFFD}"
        default: return scalar
        }
    }
}

extension Diagnostic {
    /// The finding as the operator reads it: `file:line:column: error: ...`, the line, a caret, the notes.
    package func rendered(colour: Bool = false) -> String {
        let paint = Paint(isOn: colour)
        var text = ""
        if let line {
            text += paint.bold("\(file):\(line):\(column):") + " "
        } else if !file.isEmpty {
            text += paint.bold("\(file):") + " "
        }
        text += paint.severity(severity) + " " + paint.bold(message) + "\n"
        if let line {
            let number = String(line)
            let margin = String(repeating: " ", count: max(0, 5 - number.utf8.count))
            text += margin + number + " | " + sourceLine + "\n"
            let blank = String(repeating: " ", count: max(5, number.utf8.count))
            text += blank + " | " + underlineIndent + paint.mark("^" + String(repeating: "~", count: length - 1)) + "\n"
        }
        for note in notes { text += "   " + note + "\n" }
        return text
    }

    private var underlineIndent: String {
        // A tab stays a tab, so that the caret stands below what it means however wide tabs are.
        let before = sourceLine.unicodeScalars.prefix(sourceOffset).map { $0 == "\t" ? $0 : " " }
        let missing = max(0, sourceOffset - before.count)
        return String(String.UnicodeScalarView(before)) + String(repeating: " ", count: missing)
    }
}

/// Terminal colours, or none.
private struct Paint {
    let isOn: Bool

    func bold(_ text: String) -> String { isOn ? "\u{1B}[1m\(text)\u{1B}[0m" : text }
    func mark(_ text: String) -> String { isOn ? "\u{1B}[1;32m\(text)\u{1B}[0m" : text }
    func severity(_ severity: Diagnostic.Severity) -> String {
        let text = severity.rawValue + ":"
        guard isOn else { return text }
        return severity == .error ? "\u{1B}[1;31m\(text)\u{1B}[0m" : "\u{1B}[1;35m\(text)\u{1B}[0m"
    }
}

/// Why a configuration cannot be used: everything that was found, errors and warnings, in the order of the text.
package struct ConfigurationError: Error, Sendable, Equatable {
    /// At least one of them is an error.
    package let diagnostics: [Diagnostic]

    /// Everything that was found, as the operator reads it.
    package func rendered(colour: Bool = false) -> String {
        diagnostics.map { $0.rendered(colour: colour) }.joined()
    }
}
