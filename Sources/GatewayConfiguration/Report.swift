/// Collects what is wrong while files are read; it knows the files, so a finding needs only a range.
struct Report: Sendable {
    /// More errors than this are no help: the rest is most likely caused by the first.
    static let mostErrors = 20

    private struct Entry: Sendable {
        /// Where it belongs among the others; findings about the whole come last.
        let file: Int
        let offset: Int
        let diagnostic: Diagnostic
    }

    /// The files read so far, in order.
    private(set) var files: [SourceFile] = []
    private var errors: [Entry] = []
    private var warnings: [Entry] = []
    /// A brace or a quote is out of balance, or a value is missing, so what follows would be judged as what it is not.
    var isStructureDoubtful = false
    /// The environment variables of words and of whole directives, by the offset at which those begin, in each file.
    private var variables: [[Int: [String]]] = []

    /// True once nothing more can be said.
    var isFull: Bool { errors.count >= Self.mostErrors }
    /// True when the configuration cannot be used.
    var hasErrors: Bool { !errors.isEmpty }

    /// The same files without what was found in them.
    var withoutFindings: Report {
        var report = Report()
        report.files = files
        report.variables = variables
        return report
    }

    /// Adds a file and answers its index.
    mutating func add(_ file: SourceFile) -> Int {
        files.append(file)
        variables.append([:])
        return files.count - 1
    }

    /// Notes an error at a stretch of text.
    mutating func error(_ message: String, at range: SourceRange, notes: [String] = []) {
        guard !isFull else { return }
        let found = Diagnostic(.error, in: files[range.file], at: range, message: message, notes: notes)
        errors.append(Entry(file: range.file, offset: range.lower, diagnostic: found))
    }

    /// Notes an error about a file as a whole.
    mutating func error(_ message: String, file: String, notes: [String] = []) {
        guard !isFull else { return }
        let found = Diagnostic(.error, file: file, message: message, notes: notes)
        errors.append(Entry(file: .max, offset: errors.count, diagnostic: found))
    }

    /// Notes a warning at a stretch of text.
    mutating func warning(_ message: String, at range: SourceRange, notes: [String] = []) {
        guard warnings.count < Self.mostErrors else { return }
        let found = Diagnostic(.warning, in: files[range.file], at: range, message: message, notes: notes)
        warnings.append(Entry(file: range.file, offset: range.lower, diagnostic: found))
    }

    /// Notes a warning about a file as a whole.
    mutating func warning(_ message: String, file: String, notes: [String] = []) {
        let found = Diagnostic(.warning, file: file, message: message, notes: notes)
        warnings.append(Entry(file: .max, offset: warnings.count, diagnostic: found))
    }

    /// Notes that a stretch of text has values of the environment.
    mutating func note(_ names: [String], at range: SourceRange) {
        for name in names where !variables[range.file][range.lower, default: []].contains(name) {
            variables[range.file][range.lower, default: []].append(name)
        }
    }

    /// Where a stretch of text is, for values that remember it.
    func location(of range: SourceRange) -> SourceLocation {
        let file = files[range.file]
        var location = SourceLocation(file: file.path, line: file.line(at: range.lower))
        location.variables = variables[range.file][range.lower] ?? []
        return location
    }

    /// The warnings in the order of the text.
    var sortedWarnings: [Diagnostic] { Self.sorted(warnings) }

    /// Everything that was found in the order of the text.
    var failure: ConfigurationError {
        var all = Self.sorted(errors + warnings)
        if isFull {
            let message = "these are the first \(Self.mostErrors) errors; there may be more"
            all.append(Diagnostic(.error, file: "", message: message))
        }
        return ConfigurationError(diagnostics: all)
    }

    private static func sorted(_ entries: [Entry]) -> [Diagnostic] {
        entries.sorted { ($0.file, $0.offset) < ($1.file, $1.offset) }.map(\.diagnostic)
    }
}
