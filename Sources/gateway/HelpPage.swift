/// A text of `Help` as data: what manuals and completions are made of, so that nothing is said in two places.
///
///     examples:
///       COMMAND LINE    what it does
///
///     usage: ...
///
///       --option VALUE  what it means,
///                       and on
///       gateway COMMAND as it is typed
///
///     A paragraph.
package struct HelpPage: Sendable {
    /// Two columns of a line: what is typed, and what it means.
    package struct Item: Sendable, Equatable {
        package let form: String
        package fileprivate(set) var text: String
    }

    /// What stands behind the usage, in order.
    package enum Part: Sendable, Equatable {
        case item(Item)
        /// A line as it is typed.
        case code(String)
        case paragraph(String)
    }

    package private(set) var examples: [Item] = []
    package private(set) var usageLines: [String] = []
    package private(set) var parts: [Part] = []

    package init(_ text: String) {
        var areExamples = false
        // Whether the next line goes on with the paragraph before it.
        var isParagraphOpen = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let indent = line.prefix { $0 == " " }.count
            let words = line.dropFirst(indent)
            let wasParagraphOpen = isParagraphOpen
            isParagraphOpen = false
            if words.isEmpty {
                areExamples = false
            } else if line == "examples:" {
                areExamples = true
            } else if areExamples {
                examples.append(Self.columns(words))
            } else if line.hasPrefix("usage: ") {
                usageLines = [String(line.dropFirst("usage: ".count))]
            } else if indent > 2, parts.isEmpty, !usageLines.isEmpty {
                usageLines.append("    " + words)
            } else if indent > 2, case .item(var item) = parts.last {
                item.text += " " + words
                parts[parts.count - 1] = .item(item)
            } else if indent > 0 {
                let item = Self.columns(words)
                parts.append(item.text.isEmpty && !words.hasPrefix("-") ? .code(item.form) : .item(item))
            } else if wasParagraphOpen, case .paragraph(let before) = parts.last {
                parts[parts.count - 1] = .paragraph(before + " " + words)
                isParagraphOpen = true
            } else {
                parts.append(.paragraph(String(words)))
                isParagraphOpen = true
            }
        }
    }

    /// The rows with two columns.
    package var items: [Item] {
        parts.compactMap { part in
            if case .item(let item) = part { item } else { nil }
        }
    }

    /// The rows about options.
    package var options: [Item] { items.filter { $0.form.hasPrefix("-") } }

    /// Cuts a line where two spaces are.
    private static func columns(_ line: Substring) -> Item {
        var end = line.startIndex
        while end < line.endIndex, !line[end...].hasPrefix("  ") { end = line.index(after: end) }
        return Item(form: String(line[..<end]), text: String(line[end...].drop { $0 == " " }))
    }
}
