/// One word of the text: a name or a value, without its quotes.
struct Word: Sendable {
    /// What it says.
    let text: String
    /// Where it stands, quotes included.
    let range: SourceRange
    /// Quotes make a word a plain value: it is never taken for a directive.
    let isQuoted: Bool
    /// The environment variables it is made of.
    let variables: [String]

    /// It is what it says, and never a directive.
    var isValue: Bool { isQuoted || !variables.isEmpty }
}

/// One directive as written: a name, its values, and perhaps a block.
struct Statement: Sendable {
    let name: Word
    /// What stands between the name and `;` or `{`.
    let arguments: [Word]
    /// What stands in braces; nil when it ended in `;`.
    let block: [Statement]?
    /// The opening brace.
    let brace: SourceRange?
}

/// Text as it is shown inside a message, or written back to a file.
enum Quotation {
    /// The text in double quotes, with escapes, so that it reads back as itself.
    static func full(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            // Else it could be a variable.
            case "$": result += "\\$"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// The text in quotes for a message: cut when it is long, never with control characters.
    static func short(_ text: String) -> String {
        let scalars = URLSecret.hidden(text).unicodeScalars
        let front = visible(String(String.UnicodeScalarView(scalars.prefix(60))))
        return "\"" + front + (scalars.dropFirst(60).isEmpty ? "\"" : "...\"")
    }

    /// The text without control characters.
    static func visible(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The text as it has to be written in a file: bare when that reads back as itself, else in quotes.
    static func ifNeeded(_ text: String) -> String {
        let isBare = text.utf8.allSatisfy { byte in
            byte > 0x20 && byte != 0x7F && !";{}\"'#\\$".utf8.contains(byte)
        }
        return isBare && !text.isEmpty ? text : full(text)
    }
}
