import Glibc

/// Hears from the kernel which files in some folders changed. It belongs to the control thread.
///
/// It watches folders, because a watch on a file follows the old inode when another file is renamed over it. And it
/// watches the way to each of them: links on it, which a deployment points elsewhere, folders that are moved, and the
/// place of what is not there yet. What lies behind links in the folder it does not see, nor anything on NFS;
/// `FolderPoll` does.
package struct FolderWatch: ~Copyable {
    /// What changed since the last look.
    package struct Changes: Equatable, Sendable {
        /// Names of files, without their folder.
        package var names: Set<String>
        /// Something was missed, or a folder was replaced: look at everything.
        package var rescan: Bool

        package init(names: Set<String> = [], rescan: Bool = false) {
            self.names = names
            self.rescan = rescan
        }

        package var isEmpty: Bool { names.isEmpty && !rescan }
    }

    private static let inside = UInt32(IN_CLOSE_WRITE | IN_CREATE | IN_ATTRIB) | moves | gone
    private static let moves = UInt32(IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
    /// A folder on the way is only asked about the link in it, or about the name that it lacks.
    private static let names = UInt32(IN_CREATE) | moves
    private static let gone = UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)
    /// How often the ways are walked until they are the same before and after the watches were set.
    private static let mostWalks = 8

    private let queue: OpenFile
    private let folders: [String]
    /// Names to look out for, by the watch on the folder on the way that they lie in, or would; often none.
    private var ways: [Int32: Set<String>] = [:]
    private var watched: Set<Int32> = []

    private init(queue: consuming OpenFile, folders: [String]) {
        self.queue = queue
        self.folders = folders
    }

    /// Watches the folders, as gateway.conf names them; nil when the kernel gives no more watches, and then there is
    /// only `FolderPoll`.
    package static func start(folders: [String]) -> FolderWatch? {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
        guard descriptor >= 0 else { return nil }
        var watch = FolderWatch(queue: OpenFile(adopting: descriptor), folders: folders)
        guard watch.watchFolders() else { return nil }
        return watch
    }

    /// Readable when there is news; for a poller.
    package var number: Int32 { queue.descriptor }

    /// Takes the news; never blocks.
    package mutating func read() -> Changes {
        var changes = Changes()
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        // Bounded, because files may change faster than we read; what is left makes us readable again.
        for _ in 0..<64 {
            let count = unsafe Glibc.read(queue.descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            take(buffer[..<count], &changes)
        }
        if changes.rescan { watchFolders() }
        return changes
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, _ changes: inout Changes) {
        var rest = bytes
        // inotify(7): watch, mask, cookie, length; then the name, filled up with zeros to the length.
        while rest.count >= 16 {
            let watch = Int32(bitPattern: Self.word(rest, 0))
            let mask = Self.word(rest, 4)
            let length = Int(Self.word(rest, 12))
            rest = rest.dropFirst(16)
            guard length <= rest.count else { break }
            let name = String(decoding: rest.prefix(length).prefix { $0 != 0 }, as: UTF8.self)
            rest = rest.dropFirst(length)
            note(watch, mask, name, &changes)
        }
    }

    private mutating func note(_ watch: Int32, _ mask: UInt32, _ name: String, _ changes: inout Changes) {
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { changes.rescan = true }
        if mask & UInt32(IN_IGNORED) != 0 {
            // Also what we ended ourselves is reported, and that is no news.
            let wasWatched = watched.remove(watch) != nil
            let wasOnTheWay = ways.removeValue(forKey: watch) != nil
            if wasWatched || wasOnTheWay { changes.rescan = true }
        }
        // What is not watched any more may still be told of.
        if mask & Self.gone != 0, watched.contains(watch) || ways[watch] != nil { changes.rescan = true }
        if ways[watch]?.contains(name) == true, mask & Self.names != 0 { changes.rescan = true }
        if watched.contains(watch), !name.isEmpty, mask & UInt32(IN_ISDIR) == 0, mask & Self.inside != 0 {
            changes.names.insert(name)
        }
    }

    /// Watches what is there now; a folder that is watched already stays so. False when the kernel gives no more
    /// watches; that a folder is not there, or not readable, is no failure.
    @discardableResult
    private mutating func watchFolders() -> Bool {
        let old = watched.union(ways.keys)
        var isComplete = true
        var before: [[PathWalk.Hop]] = []
        for _ in 0..<Self.mostWalks {
            let hops = folders.map { PathWalk($0).hops }
            if hops == before { break }
            before = hops
            watched = []
            ways = [:]
            for way in hops { watch(way, &isComplete) }
        }
        // Whatever hangs on a folder that was replaced under its name is dropped.
        for watch in old.subtracting(watched).subtracting(ways.keys) {
            _ = inotify_rm_watch(queue.descriptor, watch)
        }
        return isComplete
    }

    private mutating func watch(_ way: [PathWalk.Hop], _ isComplete: inout Bool) {
        for (index, hop) in way.enumerated() {
            let isEnd = index == way.count - 1
            switch hop.kind {
            case .folder:
                if let watch = add(hop.path, isEnd ? Self.inside : Self.gone, &isComplete) {
                    if isEnd { watched.insert(watch) } else { ways[watch] = ways[watch] ?? [] }
                }
            case .link, .missing, .end:
                guard let holder = hop.holder, let watch = add(way[holder].path, Self.names, &isComplete) else {
                    continue
                }
                ways[watch, default: []].insert(hop.name)
            }
        }
    }

    /// MASK_ADD: one folder may be asked for several things, and none takes away from another.
    private func add(_ folder: String, _ mask: UInt32, _ isComplete: inout Bool) -> Int32? {
        let watch = unsafe inotify_add_watch(
            queue.descriptor, folder, mask | UInt32(IN_ONLYDIR) | UInt32(IN_MASK_ADD))
        guard watch < 0 else { return watch }
        if errno == ENOSPC || errno == ENOMEM { isComplete = false }
        return nil
    }

    private static func word(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(bytes[bytes.startIndex + offset + $1]) &<< UInt32(8 * $1) }
    }
}
