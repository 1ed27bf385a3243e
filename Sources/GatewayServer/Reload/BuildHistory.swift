import Glibc

/// Copies of the builds that served before the present one, for going back to them: a second name of each staged file,
/// which outlives the generation that was loaded from it. It belongs to the control thread.
struct BuildHistory {
    struct Entry {
        let path: String
        /// The generation that served it first.
        let generation: UInt64
    }

    /// Oldest first.
    private(set) var entries: [Entry] = []
    private static let suffix = ".kept"

    var newest: Entry? { entries.last }

    /// Keeps the file of a generation that has been replaced, and the newest `most` in total.
    mutating func add(_ path: String, generation: UInt64, most: Int) {
        let kept = path + Self.suffix
        // Where it cannot be linked the staged file is good for as long as its image is mapped.
        let isLinked = unsafe link(path, kept) == 0
        entries.append(Entry(path: isLinked ? kept : path, generation: generation))
        while entries.count > max(1, most) { drop(entries.removeFirst()) }
    }

    /// The newest is the one that serves again.
    mutating func removeNewest() { if let last = entries.popLast() { drop(last) } }

    private func drop(_ entry: Entry) {
        if entry.path.hasSuffix(Self.suffix) { _ = unsafe unlink(entry.path) }
    }
}
