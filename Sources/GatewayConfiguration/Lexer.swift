/// What the text is made of.
enum Token: Sendable {
    /// A name or a value.
    case word(Word)
    /// `;`
    case semicolon(SourceRange)
    /// `{`
    case open(SourceRange)
    /// `}`
    case close(SourceRange)
    /// Nothing is left.
    case end(SourceRange)
}

/// Cuts the text of one file into tokens; total: whatever the bytes are, it comes to the end.
struct Lexer {
    private let bytes: [UInt8]
    private let file: Int
    private var position = 0

    init(bytes: [UInt8], file: Int) {
        self.bytes = bytes
        self.file = file
    }

    /// The next token; what is wrong goes to the report and the reading goes on behind it.
    mutating func next(_ report: inout Report) -> Token {
        skipBlanks()
        guard position < bytes.count else { return .end(range(from: bytes.count)) }
        let start = position
        switch bytes[position] {
        case UInt8(ascii: ";"):
            position += 1
            return .semicolon(range(from: start))
        case UInt8(ascii: "{"):
            position += 1
            return .open(range(from: start))
        case UInt8(ascii: "}"):
            position += 1
            return .close(range(from: start))
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            return .word(quotedWord(&report))
        default:
            return .word(bareWord(&report))
        }
    }

    private func range(from start: Int) -> SourceRange { SourceRange(file: file, lower: start, upper: position) }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D
    }

    private static func endsWord(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}")
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "#") {
                while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
            } else if Self.isBlank(bytes[position]) {
                position += 1
            } else {
                return
            }
        }
    }

    private mutating func bareWord(_ report: inout Report) -> Word {
        let start = position
        var isClean = true
        while position < bytes.count, !Self.endsWord(bytes[position]) {
            let byte = bytes[position]
            position += 1
            guard isClean else { continue }
            if byte < 0x20 || byte == 0x7F {
                report.error("control character in the text", at: range(from: position - 1))
                isClean = false
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                // `a"b c"` means different things to different people; only whole words are quoted here.
                report.error("quote inside a word (put the whole word in quotes)", at: range(from: position - 1))
                report.isStructureDoubtful = true
                isClean = false
            }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        return Word(text: text, range: range(from: start), isQuoted: false)
    }

    private mutating func quotedWord(_ report: inout Report) -> Word {
        let start = position
        let quote = bytes[position]
        var content: [UInt8] = []
        var isClosed = false
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n"), !isClosed {
            let byte = bytes[position]
            position += 1
            if byte == quote {
                isClosed = true
            } else if byte == UInt8(ascii: "\\") {
                if let meant = escape(&report) { content.append(meant) }
            } else if byte < 0x20 && byte != 0x09 && byte != 0x0D || byte == 0x7F {
                report.error("control character in the text", at: range(from: position - 1))
            } else {
                content.append(byte)
            }
        }
        let whole = range(from: start)
        if !isClosed {
            report.error("quote is not closed before the end of the line", at: whole)
            report.isStructureDoubtful = true
        } else if position < bytes.count, !Self.endsWord(bytes[position]) {
            report.error("a space or \";\" is missing behind the quote", at: whole.after)
        }
        return Word(text: String(decoding: content, as: UTF8.self), range: whole, isQuoted: true)
    }

    /// The byte an escape stands for; nil when there is no such escape, which is then reported.
    private mutating func escape(_ report: inout Report) -> UInt8? {
        guard position < bytes.count, bytes[position] != UInt8(ascii: "\n") else { return nil }
        let start = position - 1
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): return letter
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        default:
            // The letter may be the first byte of several; the rest of it is then read as text.
            let end = letter < 0x80 ? position : start + 1
            let place = SourceRange(file: file, lower: start, upper: end)
            report.error(#"unknown escape (known are \\ \" \' \n \r \t)"#, at: place)
            return nil
        }
    }
}
