import Glibc
import Synchronization

/// The private folder that staged modules are loaded from; it goes with its owner or with `remove()`.
///
/// `<base>/gateway-<process id>-<random>`, mode 0700. A lock on a file inside it says that its process lives, also to
/// a gateway in another container that shares the base and cannot see the process.
package final class RunDirectory: Sendable {
    package let path: String
    private let lock: Int32
    private let isRemoved = Atomic(false)

    private static let prefix = "gateway-"
    private static let lockName = "lock"
    /// ST_NOEXEC of statvfs(3), which Glibc declares only for _GNU_SOURCE.
    private static let noExecution: UInt = 8

    /// Takes the first base where modules can be loaded from; the error tells what is wrong with each of them.
    package init(bases: [String] = RunDirectory.defaultBases()) throws(RunDirectoryError) {
        var objections: [String] = []
        for base in bases {
            do throws(Objection) {
                (path, lock) = try Self.make(in: base)
                return
            } catch {
                objections.append("\(base) \(error.text)")
            }
        }
        throw RunDirectoryError(objections: objections)
    }

    deinit {
        remove()
    }

    /// `$XDG_RUNTIME_DIR`, `/run/gateway`, `$TMPDIR`, `/tmp`; what the environment says is checked like the rest.
    package static func defaultBases() -> [String] {
        [variable("XDG_RUNTIME_DIR"), "/run/gateway", variable("TMPDIR"), "/tmp"].compactMap { $0 }
    }

    /// Removes the folder and all staged modules; mapped images live on, without their file. Harmless when repeated.
    package func remove() {
        guard !isRemoved.exchange(true, ordering: .relaxed) else { return }
        Self.remove(path)
        // Last, so that no other gateway takes the folder for a leftover while it is being emptied.
        _ = close(lock)
    }

    /// Removes folders of gateways that ended without doing so; answers their paths.
    ///
    /// A folder goes when it is ours, its process is gone, and its lock is free.
    package static func removeLeftovers(in base: String) -> [String] {
        FolderListing.names(in: base).compactMap { name -> String? in
            guard name.hasPrefix(prefix), let process = pid_t(name.dropFirst(prefix.count).prefix { $0 != "-" }) else {
                return nil
            }
            let path = "\(base)/\(name)"
            var status = stat()
            guard unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid()
            else { return nil }
            // A gateway that replaced its own binary has the number of the one before.
            guard process > 0, process == getpid() || (kill(process, 0) != 0 && errno == ESRCH) else { return nil }
            let lock = unsafe open("\(path)/\(lockName)", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            defer { if lock >= 0 { _ = close(lock) } }
            // One that cannot be opened for want of descriptors says nothing.
            guard lock >= 0 ? flock(lock, LOCK_EX | LOCK_NB) == 0 : errno == ENOENT else { return nil }
            return remove(path) ? path : nil
        }
    }

    private static func make(in base: String) throws(Objection) -> (path: String, lock: Int32) {
        let walk = PathWalk(base)
        guard let canonical = walk.end?.path else { throw Objection("does not exist") }
        try checkBase(canonical, walk)
        // Under a name that is not taken for a leftover before its lock is held.
        var template = Array("\(canonical)/.\(prefix)\(getpid())-XXXXXX".utf8CString)
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
        guard made else { throw Objection("is of no use (\(SystemError("mkdtemp")))") }
        let path = unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
        let lock = unsafe open("\(path)/\(lockName)", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let objection = Objection("is of no use (\(SystemError("lock")))")
            if lock >= 0 { _ = close(lock) }
            remove(path)
            throw objection
        }
        let name = path.dropFirst(canonical == "/" ? 2 : canonical.utf8.count + 2)
        let final = canonical == "/" ? "/\(name)" : "\(canonical)/\(name)"
        guard unsafe rename(path, final) == 0 else {
            let objection = Objection("is of no use (\(SystemError("rename")))")
            _ = close(lock)
            remove(path)
            throw objection
        }
        return (final, lock)
    }

    /// Others must not be able to rename our folder, and what lies there must be executable.
    private static func checkBase(_ base: String, _ walk: borrowing PathWalk) throws(Objection) {
        try FileTrust.check(walk, holder: .parent)
        var system = statvfs()
        guard unsafe statvfs(base, &system) == 0 else { throw Objection("is of no use (\(SystemError("statvfs")))") }
        guard system.f_flag & noExecution == 0 else {
            throw Objection("is mounted noexec: no module can be loaded there")
        }
    }

    /// Removes the files of a folder and the folder; there are no folders inside.
    @discardableResult
    private static func remove(_ path: String) -> Bool {
        for name in FolderListing.names(in: path) { _ = unsafe unlink("\(path)/\(name)") }
        return unsafe rmdir(path) == 0
    }

    private static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.hasPrefix("/") ? text : nil
    }
}

/// No folder was found that modules can be loaded from.
package struct RunDirectoryError: Error, Equatable, CustomStringConvertible {
    /// One for each base, beginning with its path.
    package let objections: [String]

    package var description: String {
        """
        no folder to load handlers from.
           \(objections.isEmpty ? "No folder was named." : objections.joined(separator: "\n   "))
           To do: name a folder that belongs to the gateway's user and is not mounted noexec, with a line such as
           `state_dir /var/lib/gateway;` in gateway.conf.
        """
    }
}
