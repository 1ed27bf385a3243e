/// Text from outside, made fit for logs and terminals.
public enum PrintableText {
    /// The text as it stands between quotation marks, on one line.
    public static func quoted(_ text: String) -> String {
        var clean = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22, 0x5C: clean += "\\\(scalar)"
            case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: clean += "\\u{\(String(scalar.value, radix: 16))}"
            default: clean.unicodeScalars.append(scalar)
            }
        }
        return clean
    }

    /// The text with control characters written out; the bytes of strangers cannot forge lines or drive a terminal.
    public static func escaped(_ text: String) -> String {
        // Beyond ASCII there are control characters too.
        if text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: clean += "\n   "
            case 0..<0x20, 0x7F..<0xA0: clean += "\\u{\(String(scalar.value, radix: 16))}"
            default: clean.unicodeScalars.append(scalar)
            }
        }
        return clean
    }
}
