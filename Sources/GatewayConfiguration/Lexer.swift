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

/// Cuts the text of one file into tokens; total: whatever the octets are, it comes to the end.
struct Lexer {
    private let octets: [UInt8]
    private let file: Int
    private var position = 0

    init(octets: [UInt8], file: Int) {
        self.octets = octets
        self.file = file
    }

    /// The next token; what is wrong goes to the report and the reading goes on behind it.
    mutating func next(_ report: inout Report) -> Token {
        skipBlanks()
        guard position < octets.count else { return .end(range(from: octets.count)) }
        let start = position
        switch octets[position] {
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

    private static func isBlank(_ octet: UInt8) -> Bool {
        octet == 0x20 || (0x09...0x0A).contains(octet) || octet == 0x0D
    }

    private static func endsWord(_ octet: UInt8) -> Bool {
        isBlank(octet) || octet == UInt8(ascii: ";") || octet == UInt8(ascii: "{") || octet == UInt8(ascii: "}")
    }

    private mutating func skipBlanks() {
        while position < octets.count {
            if octets[position] == UInt8(ascii: "#") {
                while position < octets.count, octets[position] != UInt8(ascii: "\n") { position += 1 }
            } else if Self.isBlank(octets[position]) {
                position += 1
            } else {
                return
            }
        }
    }

    private mutating func bareWord(_ report: inout Report) -> Word {
        let start = position
        var isClean = true
        while position < octets.count, !Self.endsWord(octets[position]) {
            let octet = octets[position]
            position += 1
            guard isClean else { continue }
            if octet < 0x20 || octet == 0x7F {
                report.error("control character in the text", at: range(from: position - 1))
                isClean = false
            } else if octet == UInt8(ascii: "\"") || octet == UInt8(ascii: "'") {
                // `a"b c"` means different things to different people; only whole words are quoted here.
                report.error("quote inside a word (put the whole word in quotes)", at: range(from: position - 1))
                report.isStructureDoubtful = true
                isClean = false
            }
        }
        let text = String(decoding: octets[start..<position], as: UTF8.self)
        return Word(text: text, range: range(from: start), isQuoted: false)
    }

    private mutating func quotedWord(_ report: inout Report) -> Word {
        let start = position
        let quote = octets[position]
        var content: [UInt8] = []
        var isClosed = false
        position += 1
        while position < octets.count, octets[position] != UInt8(ascii: "\n"), !isClosed {
            let octet = octets[position]
            position += 1
            if octet == quote {
                isClosed = true
            } else if octet == UInt8(ascii: "\\") {
                if let meant = escape(&report) { content.append(meant) }
            } else if octet < 0x20 && octet != 0x09 && octet != 0x0D || octet == 0x7F {
                report.error("control character in the text", at: range(from: position - 1))
            } else {
                content.append(octet)
            }
        }
        let whole = range(from: start)
        if !isClosed {
            report.error("quote is not closed before the end of the line", at: whole)
            report.isStructureDoubtful = true
        } else if position < octets.count, !Self.endsWord(octets[position]) {
            report.error("a space or \";\" is missing behind the quote", at: whole.after)
        }
        return Word(text: String(decoding: content, as: UTF8.self), range: whole, isQuoted: true)
    }

    /// The octet an escape stands for; nil when there is no such escape, which is then reported.
    private mutating func escape(_ report: inout Report) -> UInt8? {
        guard position < octets.count, octets[position] != UInt8(ascii: "\n") else { return nil }
        let start = position - 1
        let letter = octets[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"): return letter
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        default:
            // The letter may be the first octet of several; the rest of it is then read as text.
            let end = letter < 0x80 ? position : start + 1
            let place = SourceRange(file: file, lower: start, upper: end)
            report.error(#"unknown escape (known are \\ \" \' \n \r \t)"#, at: place)
            return nil
        }
    }
}
