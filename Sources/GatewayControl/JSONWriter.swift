/// Writes one JSON text (RFC 8259) without white space, members in the order in which they are given.
package struct JSONWriter {
    /// What was written so far.
    package private(set) var text = ""
    /// Something stands before the next value in the same object or array.
    private var needsComma = false

    package init() {}

    // MARK: Structure

    /// An object; the closure writes its members.
    package mutating func object(_ members: (inout JSONWriter) -> Void) {
        open("{")
        members(&self)
        close("}")
    }

    /// An array; the closure writes one value for each element.
    package mutating func array<Element>(_ elements: [Element], _ value: (inout JSONWriter, Element) -> Void) {
        open("[")
        for element in elements { value(&self, element) }
        close("]")
    }

    /// The name of a member; exactly one value follows.
    package mutating func name(_ name: String) {
        separate()
        quote(name)
        text += ":"
        needsComma = false
    }

    // MARK: Values

    /// A string; nil is null.
    package mutating func value(_ string: String?) {
        separate()
        if let string { quote(string) } else { text += "null" }
    }

    /// A number; nil is null. Readers may lose digits above 2^53, so identifiers are better strings.
    package mutating func value(_ number: (some FixedWidthInteger)?) {
        separate()
        text += number.map { String($0) } ?? "null"
    }

    /// A number with a fraction; what JSON has no number for is null.
    package mutating func value(_ number: Double) {
        separate()
        text += number.isFinite ? "\(number)" : "null"
    }

    /// true or false.
    package mutating func value(_ truth: Bool) {
        separate()
        text += truth ? "true" : "false"
    }

    /// A value that is JSON already.
    package mutating func value(json: String) {
        separate()
        text += json
    }

    // MARK: Members

    /// A member that is a string or null.
    package mutating func member(_ name: String, _ string: String?) {
        self.name(name)
        value(string)
    }

    /// A member that is a number or null.
    package mutating func member(_ name: String, _ number: (some FixedWidthInteger)?) {
        self.name(name)
        value(number)
    }

    /// A member that is true or false.
    package mutating func member(_ name: String, _ truth: Bool) {
        self.name(name)
        value(truth)
    }

    /// A member that is an array of strings.
    package mutating func member(_ name: String, _ strings: [String]) {
        self.name(name)
        array(strings) { $0.value($1) }
    }

    // MARK: Bytes

    private mutating func open(_ bracket: String) {
        separate()
        text += bracket
        needsComma = false
    }

    private mutating func close(_ bracket: String) {
        text += bracket
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { text += "," }
        needsComma = true
    }

    private mutating func quote(_ string: String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            // RFC 8259 7: the characters that MUST be escaped are the control characters U+0000 through U+001F. The
            // others drive terminals (DEL and C1) or end lines of JavaScript (U+2028 and U+2029).
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}": escape(scalar)
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    private mutating func escape(_ scalar: Unicode.Scalar) {
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}
