import GatewayControl

/// JSON as people read it: an element a line, what is short on one line.
package struct JSONPrinter {
    /// Values that fit on a line of so many characters are not spread over several.
    private static let narrow = 60

    private let colour: Bool
    private var text = ""

    /// The value, without an end of the line.
    package static func text(_ value: JSONValue, colour: Bool = false) -> String {
        var printer = JSONPrinter(colour: colour)
        printer.write(value, indent: "")
        return printer.text
    }

    private init(colour: Bool) { self.colour = colour }

    private mutating func write(_ value: JSONValue, indent: String) {
        switch value {
        case .null: text += painted("null", "2")
        case .truth(let truth): text += painted(truth ? "true" : "false", "33")
        case .number(let number): text += painted(number, "33")
        case .string(let string): text += painted(Self.quoted(string), "32")
        case .array(let elements):
            list("[", "]", elements, value, indent) { printer, element, inner in printer.write(element, indent: inner) }
        case .object(let members):
            list("{", "}", members, value, indent) { printer, member, inner in
                printer.text += printer.painted(Self.quoted(member.name), "36") + ": "
                printer.write(member.value, indent: inner)
            }
        }
    }

    private mutating func list<Element>(
        _ open: String, _ close: String, _ elements: [Element], _ whole: JSONValue, _ indent: String,
        _ write: (inout JSONPrinter, Element, String) -> Void
    ) {
        let isShort = Self.fits(whole)
        let inner = indent + "  "
        text += open
        for (index, element) in elements.enumerated() {
            if index > 0 { text += isShort ? ", " : "," }
            if !isShort { text += "\n" + inner }
            write(&self, element, inner)
        }
        if !isShort { text += "\n" + indent }
        text += close
    }

    /// Whether a value has its place on one line.
    private static func fits(_ value: JSONValue) -> Bool { length(value, atMost: narrow) <= narrow }

    /// An estimate that gives up where it is too long anyway.
    private static func length(_ value: JSONValue, atMost most: Int) -> Int {
        var sum = 2
        switch value {
        case .null, .truth: return 5
        case .number(let text): return text.utf8.count
        case .string(let text): return text.utf8.count + 2
        case .array(let elements):
            for element in elements where sum <= most { sum += length(element, atMost: most) + 2 }
        case .object(let members):
            for member in members where sum <= most {
                sum += member.name.utf8.count + 4 + length(member.value, atMost: most) + 2
            }
        }
        return sum
    }

    private func painted(_ text: String, _ code: String) -> String {
        colour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    /// A string with its escapes: no byte of it drives the terminal.
    private static func quoted(_ string: String) -> String {
        var writer = JSONWriter()
        writer.value(string)
        return writer.text
    }
}
