import Glibc

/// Finds changed modules by looking at all of them now and then, where the kernel does not tell: on NFS, behind
/// symbolic links, without inotify. It belongs to the control thread.
package struct FolderPoll {
    /// Entries of a folder that are looked at, should the gateway be pointed at a very large one.
    private static let most = 10_000

    private let folders: [String]
    private let interval: Duration
    private var seen: [String: FileFingerprint]
    /// When `advance` looks next, in the time that is passed to it.
    package private(set) var nextDeadline: Duration

    /// Looks for the first time; everything that is there now is taken as known.
    package init(folders: [String], interval: Duration, now: Duration) {
        self.folders = folders
        self.interval = interval
        seen = Self.look(folders)
        nextDeadline = now + interval
    }

    /// Names of the files, without their folder, that came, went or changed since the last look; none before the time.
    package mutating func advance(to now: Duration) -> Set<String> {
        guard now >= nextDeadline else { return [] }
        nextDeadline = now + interval
        return lookNow()
    }

    /// The same without regard to time, for `rescan`.
    package mutating func lookNow() -> Set<String> {
        let before = seen
        seen = Self.look(folders)
        let changed = seen.filter { before[$0.key] != $0.value }.keys
        let gone = before.keys.filter { seen[$0] == nil }
        return Set((changed + gone).map { String($0[$0.index(after: $0.lastIndex(of: "/") ?? $0.startIndex)...]) })
    }

    /// All modules, by their path.
    private static func look(_ folders: [String]) -> [String: FileFingerprint] {
        var looks: [String: FileFingerprint] = [:]
        for folder in folders {
            for name in FolderListing.names(in: folder).prefix(most) where name.hasSuffix(".so") {
                let path = "\(folder)/\(name)"
                looks[path] = FileFingerprint(path: path)
            }
        }
        return looks
    }
}
