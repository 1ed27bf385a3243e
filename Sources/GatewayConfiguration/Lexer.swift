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
    private let environment: Environment
    private var position = 0
    /// The variables of the word that is being read.
    private var variables: [String] = []

    init(bytes: [UInt8], file: Int, environment: Environment) {
        self.bytes = bytes
        self.file = file
        self.environment = environment
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
        var content: [UInt8] = []
        var isClean = true
        variables = []
        while position < bytes.count, !Self.endsWord(bytes[position]) {
            if isAtVariable {
                content += variable(&report)
                continue
            }
            let byte = bytes[position]
            position += 1
            content.append(byte)
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
        let word = Word(
            text: String(decoding: content, as: UTF8.self), range: range(from: start), isQuoted: false,
            variables: variables)
        if let name = word.text.first == "$" && variables.isEmpty ? word.text.dropFirst() : nil, Self.isName(name.utf8)
        {
            report.warning(
                "\(Quotation.short(word.text)) is taken as it is written", at: word.range,
                notes: ["The environment variable is written ${\(name)}; in quotes nobody asks."])
        }
        return word
    }

    private mutating func quotedWord(_ report: inout Report) -> Word {
        let start = position
        let quote = bytes[position]
        var content: [UInt8] = []
        var isClosed = false
        variables = []
        position += 1
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n"), !isClosed {
            // As in a shell, what stands in single quotes is what it is.
            if quote == UInt8(ascii: "\""), isAtVariable {
                content += variable(before: quote, &report)
                continue
            }
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
        return Word(
            text: String(decoding: content, as: UTF8.self), range: whole, isQuoted: true, variables: variables)
    }

    /// The byte an escape stands for; nil when there is no such escape, which is then reported.
    private mutating func escape(_ report: inout Report) -> UInt8? {
        guard position < bytes.count, bytes[position] != UInt8(ascii: "\n") else { return nil }
        let start = position - 1
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "$"): return letter
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        default:
            // The letter may be the first byte of several; the rest of it is then read as text.
            let end = letter < 0x80 ? position : start + 1
            let place = SourceRange(file: file, lower: start, upper: end)
            report.error(#"unknown escape (known are \\ \" \' \$ \n \r \t)"#, at: place)
            return nil
        }
    }
}

extension Lexer {
    /// Whether `${` stands at the position; a `$` before anything else is a character like any other.
    private var isAtVariable: Bool {
        bytes[position] == UInt8(ascii: "$") && position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "{")
    }

    /// What `${NAME}` or `${NAME:-default}` at the position stands for; it becomes part of the word, whatever is in it.
    ///
    /// - Parameter quote: what ends the word.
    private mutating func variable(before quote: UInt8? = nil, _ report: inout Report) -> [UInt8] {
        let start = position
        position += 2
        let inside = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "}"), bytes[position] != UInt8(ascii: "\n"),
            bytes[position] != quote
        {
            position += 1
        }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "}") else {
            report.error("\"${\" is not closed by \"}\"", at: range(from: start))
            report.isStructureDoubtful = true
            return []
        }
        let text = bytes[inside..<position]
        position += 1
        let whole = range(from: start)
        let name = text.prefix { Self.isNameByte($0) }
        let standard = text.dropFirst(name.count)
        guard Self.isName(name), standard.isEmpty || standard.starts(with: ":-".utf8), Self.isPlain(standard) else {
            report.error(
                "\(Quotation.short("${\(String(decoding: text, as: UTF8.self))}")) is no environment variable",
                at: whole,
                notes: ["It is ${NAME} or ${NAME:-default}; NAME has letters, digits and _, the default no variable."])
            report.isStructureDoubtful = true
            return []
        }
        return value(of: String(decoding: name, as: UTF8.self), or: standard, at: whole, &report)
    }

    private mutating func value(
        of name: String, or standard: ArraySlice<UInt8>, at range: SourceRange, _ report: inout Report
    ) -> [UInt8] {
        if !variables.contains(name) { variables.append(name) }
        let value = environment[name]
        // As in a shell, `:-` also stands in for a value that is empty.
        if let value, standard.isEmpty || !value.isEmpty { return Array(value.utf8) }
        if !standard.isEmpty { return Array(standard.dropFirst(2)) }
        report.error(
            "the environment variable \(Quotation.short(name)) is not set", at: range,
            notes: ["Set it where the gateway is started, or give it a default: ${\(name):-VALUE}"])
        // What the file would be with it is not known.
        report.isStructureDoubtful = true
        return []
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func isName(_ name: some Collection<UInt8>) -> Bool {
        guard let first = name.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        return name.allSatisfy { isNameByte($0) }
    }

    /// Neither control characters nor another variable.
    private static func isPlain(_ text: ArraySlice<UInt8>) -> Bool {
        text.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && !text.contains(UInt8(ascii: "{"))
    }
}
