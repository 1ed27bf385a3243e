/// Turns the tokens of one file into statements; blocks are kept on a stack of its own, so nesting costs no recursion.
struct SyntaxReader {
    /// Deeper blocks mean nothing in this language.
    static let deepest = 8

    private struct OpenBlock {
        let name: Word
        let arguments: [Word]
        let brace: SourceRange
    }

    private var lexer: Lexer
    private var open: [OpenBlock] = []
    /// What each block holds so far, the file itself at the bottom; appended to in place, never copied.
    private var levels: [[Statement]] = [[]]
    private var words: [Word] = []
    /// Braces that were opened without a name, or too deep: closed again without an effect.
    private var ignoredBraces = 0
    private let source: SourceFile

    private init(source: SourceFile, file: Int, environment: Environment) {
        self.source = source
        lexer = Lexer(bytes: source.bytes, file: file, environment: environment)
    }

    /// The statements of a file that the report knows.
    static func read(_ file: Int, _ environment: Environment, _ report: inout Report) -> [Statement] {
        var reader = SyntaxReader(source: report.files[file], file: file, environment: environment)
        while !report.isFull {
            switch reader.lexer.next(&report) {
            case .word(let word): reader.take(word, &report)
            case .semicolon(let range): reader.endStatement(at: range, &report)
            case .open(let range): reader.openBlock(at: range, &report)
            case .close(let range): reader.closeBlock(at: range, &report)
            case .end:
                reader.finish(&report)
                return reader.levels[0]
            }
        }
        return reader.levels[0]
    }

    private mutating func take(_ word: Word, _ report: inout Report) {
        // Values may go on in the next line, but a directive's name there means that a `;` was forgotten; saying so
        // here is worth more than a complaint about too many values. After `set` any two words are values.
        if let last = words.last, !word.isValue, words.count > 2 || words.first?.text != "set",
            Directive.rows[word.text] != nil,
            source.line(at: last.range.lower) < source.line(at: word.range.lower)
        {
            reportMissingSemicolon(&report)
            endWithoutBlock()
        }
        words.append(word)
        report.note(word.variables, at: word.range)
        if let name = words.first { report.note(word.variables, at: name.range) }
    }

    private mutating func endStatement(at range: SourceRange, _ report: inout Report) {
        if words.isEmpty {
            report.error("unexpected \";\"", at: range)
        } else {
            endWithoutBlock()
        }
    }

    private mutating func openBlock(at range: SourceRange, _ report: inout Report) {
        guard let name = words.first else {
            report.error("unexpected \"{\" (a block begins with a name)", at: range)
            report.isStructureDoubtful = true
            ignoredBraces += 1
            return
        }
        guard open.count < Self.deepest, ignoredBraces == 0 else {
            if ignoredBraces == 0 { report.error("blocks are nested more than \(Self.deepest) deep", at: range) }
            report.isStructureDoubtful = true
            ignoredBraces += 1
            words.removeAll()
            return
        }
        open.append(OpenBlock(name: name, arguments: Array(words.dropFirst()), brace: range))
        words.removeAll()
        levels.append([])
    }

    private mutating func closeBlock(at range: SourceRange, _ report: inout Report) {
        if !words.isEmpty {
            reportMissingSemicolon(&report)
            endWithoutBlock()
        }
        if ignoredBraces > 0 {
            ignoredBraces -= 1
        } else if !closeInnermost() {
            report.error("unexpected \"}\" (no block is open)", at: range)
            report.isStructureDoubtful = true
        }
    }

    private mutating func closeInnermost() -> Bool {
        guard let block = open.popLast(), let inner = levels.popLast() else { return false }
        levels[levels.count - 1].append(
            Statement(name: block.name, arguments: block.arguments, block: inner, brace: block.brace))
        return true
    }

    private mutating func finish(_ report: inout Report) {
        if !words.isEmpty {
            reportMissingSemicolon(&report)
            endWithoutBlock()
        }
        while let block = open.last {
            let name = Quotation.short(block.name.text)
            report.error("\"{\" is never closed (the block of \(name) has no \"}\")", at: block.brace)
            report.isStructureDoubtful = true
            _ = closeInnermost()
        }
    }

    private func reportMissingSemicolon(_ report: inout Report) {
        guard let last = words.last else { return }
        report.error("missing \";\" behind \(Quotation.short(last.text))", at: last.range.after)
    }

    private mutating func endWithoutBlock() {
        guard let name = words.first else { return }
        let arguments = Array(words.dropFirst())
        levels[levels.count - 1].append(Statement(name: name, arguments: arguments, block: nil, brace: nil))
        words.removeAll()
    }
}
