/// Waits until changed files are written completely: quiet for a while, the same in two looks, and whole.
///
///     touch ─▶ quiet for `settle`? ─▶ same look as before, and whole? ─▶ ready
///                   ▲                        │ no
///                   └────────────────────────┘   after `cap` it is handed over as it is, or was never there: deleted
///
/// Time comes in as the time since any fixed moment, and the file system as closures, so it is a value without I/O.
/// Files have whatever names the caller likes: a path, or the name of a handler.
package struct Debouncer {
    /// What became of a file.
    package enum Outcome: Equatable, Sendable {
        case ready(String)
        /// The file changes and changes, or never becomes whole: try it once, and say so.
        case stillBeingWritten(String)
        /// The file is not there any more.
        case deleted(String)
    }

    private struct Entry {
        let began: Duration
        var due: Duration
        /// nil when it was not there.
        var look: FileFingerprint?
    }

    /// How long it has to be quiet after the last event.
    package let settle: Duration
    /// How long it may go on after the first one.
    package let cap: Duration
    private var entries: [String: Entry] = [:]

    package init(settle: Duration = .milliseconds(200), cap: Duration = .seconds(5)) {
        self.settle = settle
        self.cap = max(cap, settle)
    }

    package var isEmpty: Bool { entries.isEmpty }

    /// Whether a file is waited for.
    package func isPending(_ file: String) -> Bool { entries[file] != nil }

    /// When `advance` has something to do next; nil when nothing is going on.
    package var nextDeadline: Duration? { entries.values.map(\.due).min() }

    /// Something happened to a file; `look` is what is seen of it now.
    package mutating func touch(_ file: String, at now: Duration, look: FileFingerprint?) {
        let began = entries[file]?.began ?? now
        entries[file] = Entry(began: began, due: min(now + settle, began + cap), look: look)
    }

    /// Looks at the files whose time has come and answers what became of them, in the order of their names.
    package mutating func advance(
        to now: Duration, look: (String) -> FileFingerprint?, isWhole: (String) -> Bool
    ) -> [Outcome] {
        let due = entries.filter { $0.value.due <= now }.sorted { $0.key < $1.key }
        return due.compactMap { file, entry in
            let seen = look(file)
            if seen == entry.look {
                guard seen != nil else { return end(file, .deleted(file)) }
                if isWhole(file) { return end(file, .ready(file)) }
            }
            if now >= entry.began + cap { return end(file, seen == nil ? .deleted(file) : .stillBeingWritten(file)) }
            entries[file] = Entry(began: entry.began, due: min(now + settle, entry.began + cap), look: seen)
            return nil
        }
    }

    private mutating func end(_ file: String, _ outcome: Outcome) -> Outcome {
        entries[file] = nil
        return outcome
    }
}
