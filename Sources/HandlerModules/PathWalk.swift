import Glibc

/// The way from "/" to a file as it is now, hop by hop, through every symbolic link.
///
/// Each folder is opened under its name in the one before, and judged through that descriptor: a user who renames or
/// replaces something meanwhile changes where the way leads, but not what was looked at.
struct PathWalk: ~Copyable {
    /// What was met.
    struct Hop: Equatable {
        enum Kind: Equatable {
            case folder
            case link(to: String)
            /// Anything that leads no further: what was looked for, if it is the last hop.
            case end
            /// Nothing has this name.
            case missing
        }

        let kind: Kind
        /// Where it stands, absolute and without symbolic links.
        let path: String
        /// Whether the path ended with it, or with a link in its place.
        let isLast: Bool
        /// The place in `hops` of the folder that holds it; nil for "/".
        let holder: Int?
        let status: Status

        /// Its name in its folder.
        var name: String { String(path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...]) }
    }

    /// What matters of stat(2).
    struct Status: Equatable {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        var mode: mode_t = 0
        var owner: uid_t = 0
        var group: gid_t = 0
    }

    /// Links on one way, as many as the kernel follows.
    private static let mostLinks = 40
    /// O_PATH, which Glibc declares only for _GNU_SOURCE.
    private static let pathOnly: Int32 = 0o10000000
    private static let look = pathOnly | O_NOFOLLOW | O_CLOEXEC

    private(set) var hops: [Hop] = []
    /// Why it ended before the end of the path; nil when it did not.
    private(set) var failure: SystemError?
    /// The folder it has come to; no descriptor before the first.
    private var folder = OpenFile(adopting: -1)
    /// The name of that folder, without the leading slash; empty for "/".
    private var place: [String] = []
    /// The place of that folder in `hops`.
    private var current = 0
    private var links = 0

    /// Walks a path; a relative one begins in the working directory.
    init(_ path: String) {
        var rest = Self.parts(Self.absolute(path))
        enterRoot()
        while failure == nil, let part = rest.popLast() {
            step(part, &rest)
        }
    }

    /// The hop at the end of the path; nil when it was not reached.
    var end: Hop? { failure == nil ? hops.last : nil }

    /// Opens the file at the end of the path, the very one that stands there in the last folder that was walked to.
    func open() throws(SystemError) -> OpenFile {
        if let failure { throw failure }
        guard let last = hops.last else { throw SystemError("open", code: ENOENT) }
        // O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing to a regular file.
        return try OpenFile(
            name: last.kind == .folder ? "." : last.name, in: folder, flags: O_RDONLY | O_NONBLOCK)
    }

    /// The path with the working directory in front, unless it has one.
    static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let working = unsafe getcwd(nil, 0) else { return "/" + path }
        defer { unsafe free(working) }
        return unsafe String(cString: working) + "/" + path
    }

    /// The names on a path, the last one first.
    private static func parts(_ path: String) -> [String] {
        path.split(separator: "/").filter { $0 != "." }.reversed().map { String($0) }
    }

    private mutating func enterRoot() {
        do throws(SystemError) {
            let root = try OpenFile(path: "/", flags: Self.look | O_DIRECTORY)
            enter(try root.status(), root, holder: nil, isLast: false)
        } catch {
            failure = error
        }
    }

    private mutating func step(_ part: String, _ rest: inout [String]) {
        do throws(SystemError) {
            let found = try find(part, isLast: rest.isEmpty)
            let status = try found.status()
            switch status.st_mode & S_IFMT {
            case S_IFDIR:
                if part == ".." { _ = place.popLast() } else { place.append(part) }
                enter(status, found, holder: part == ".." ? nil : current, isLast: rest.isEmpty)
            case S_IFLNK:
                try follow(found, part, status, &rest)
            default:
                note(.end, part, isLast: rest.isEmpty, status)
                guard rest.isEmpty else { throw SystemError("open", code: ENOTDIR) }
            }
        } catch {
            failure = error
        }
    }

    private mutating func find(_ part: String, isLast: Bool) throws(SystemError) -> OpenFile {
        do throws(SystemError) {
            return try OpenFile(name: part, in: folder, flags: Self.look)
        } catch {
            if error.code == ENOENT { note(.missing, part, isLast: isLast, stat()) }
            throw error
        }
    }

    private mutating func follow(
        _ link: borrowing OpenFile, _ part: String, _ status: stat, _ rest: inout [String]
    ) throws(SystemError) {
        links += 1
        let target = try link.target()
        note(.link(to: target), part, isLast: rest.isEmpty, status)
        guard links <= Self.mostLinks else { throw SystemError("open", code: ELOOP) }
        rest += Self.parts(target)
        if target.hasPrefix("/") {
            place = []
            enterRoot()
        }
    }

    private mutating func enter(_ status: stat, _ opened: consuming OpenFile, holder: Int?, isLast: Bool) {
        hops.append(
            Hop(
                kind: .folder, path: "/" + place.joined(separator: "/"), isLast: isLast, holder: holder,
                status: Status(status)))
        current = hops.count - 1
        folder = consume opened
    }

    private mutating func note(_ kind: Hop.Kind, _ part: String, isLast: Bool, _ status: stat) {
        hops.append(
            Hop(
                kind: kind, path: "/" + (place + [part]).joined(separator: "/"), isLast: isLast, holder: current,
                status: Status(status)))
    }
}

extension PathWalk.Status {
    init(_ status: stat) {
        self.init(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), mode: status.st_mode, owner: status.st_uid,
            group: status.st_gid)
    }
}
