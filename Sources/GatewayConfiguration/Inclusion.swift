/// Reads a file together with everything it includes.
struct Inclusion {
    /// Includes inside includes inside includes: more than this is a cycle in disguise.
    static let deepest = 8
    /// Files that include one another twice grow like powers of two; this ends it.
    static let mostFiles = 256

    private let environment: Environment
    /// Canonical paths of the files being read, outermost first, to notice cycles.
    private var path: [String] = []

    init(_ environment: Environment) { self.environment = environment }

    /// The statements of a text and of what it includes.
    mutating func read(_ bytes: [UInt8], from file: String, _ report: inout Report) -> [Statement] {
        let canonical = FileReader.canonicalPath(of: file) ?? file
        path.append(canonical)
        defer { path.removeLast() }
        let index = report.add(SourceFile(path: file, bytes: bytes))
        let statements = SyntaxReader.read(index, environment, &report)
        return expanded(statements, &report)
    }

    // Recursion is bounded: blocks by SyntaxReader.deepest, files by `deepest`.
    private mutating func expanded(_ statements: [Statement], _ report: inout Report) -> [Statement] {
        guard statements.contains(where: { $0.name.text == "include" || $0.block != nil }) else { return statements }
        var result: [Statement] = []
        for statement in statements where !report.isFull {
            if statement.name.text == "include", !statement.name.isValue {
                result += included(by: statement, &report)
            } else if let block = statement.block {
                let inner = expanded(block, &report)
                result.append(
                    Statement(
                        name: statement.name, arguments: statement.arguments, block: inner, brace: statement.brace))
            } else {
                result.append(statement)
            }
        }
        return result
    }

    private mutating func included(by statement: Statement, _ report: inout Report) -> [Statement] {
        if let brace = statement.brace {
            report.error("\"include\" does not take a block", at: brace)
            return []
        }
        guard let word = statement.arguments.first, !word.text.isEmpty else {
            report.error("\"include\" needs a file or a pattern such as conf.d/*.conf", at: statement.name.range)
            return []
        }
        if let extra = statement.arguments.dropFirst().first {
            report.error("\"include\" takes one file or pattern; write one line for each", at: extra.range)
            return []
        }
        guard path.count < Self.deepest else {
            report.error("includes are nested more than \(Self.deepest) deep", at: word.range)
            return []
        }
        var result: [Statement] = []
        for file in paths(of: word, &report) where !report.isFull {
            result += statements(of: file, word, &report)
        }
        return result
    }

    private func paths(of word: Word, _ report: inout Report) -> [String] {
        let folder = report.files[word.range.file].folder
        // An empty conf.d is fine; a file that was named has to be there.
        guard FileReader.isPattern(word.text) else { return [FilePath.joined(folder, word.text)] }
        // The folder is what it is, whatever characters it has; only the word is a pattern.
        let pattern = FilePath.joined(FileReader.literalPattern(folder), word.text)
        do throws(FileReader.Failure) {
            return try FileReader.paths(matching: pattern)
        } catch {
            report.error("cannot include \(Quotation.short(pattern)): \(error.sentence)", at: word.range)
            return []
        }
    }

    private mutating func statements(of file: String, _ word: Word, _ report: inout Report) -> [Statement] {
        let canonical = FileReader.canonicalPath(of: file) ?? file
        if path.contains(canonical) {
            report.error("\(Quotation.short(file)) includes itself", at: word.range)
            return []
        }
        guard report.files.count < Self.mostFiles else {
            report.error("more than \(Self.mostFiles) files are included", at: word.range)
            return []
        }
        do throws(FileReader.Failure) {
            let bytes = try FileReader.text(of: file, isPlainFile: true)
            return read(bytes, from: file, &report)
        } catch {
            report.error("cannot include \(Quotation.short(file)): \(error.sentence)", at: word.range)
            return []
        }
    }
}
