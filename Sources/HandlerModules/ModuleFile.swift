import Glibc

/// A module that was found, opened and found trustworthy; the descriptor is the one that is copied later.
package struct ModuleFile: ~Copyable {
    /// Absolute, without symbolic links.
    package let path: String
    /// The folder it was looked for in; "" when it was not looked for.
    let folder: String
    /// Bytes in the file when it was opened.
    package let size: Int
    let file: OpenFile

    /// Opens a regular file that only root and we could have written or led the way to.
    init(trusting path: String, folder: String = "") throws(Objection) {
        try self.init(walk: PathWalk(path), path, folder: folder)
    }

    init(walk: borrowing PathWalk, _ path: String, folder: String) throws(Objection) {
        // First, so that what strangers put in the way is named, and not what they made of it.
        try FileTrust.check(walk)
        let file = try Self.open(walk, path)
        let status = try Self.status(of: file, path)
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Objection("is not a regular file", remedy: "put a module there, or take that away")
        }
        if let objection = FileTrust.objection(to: .module, PathWalk.Status(status)) {
            throw Objection("cannot be trusted: it \(objection)")
        }
        self.path = walk.end?.path ?? path
        self.folder = folder
        size = Int(status.st_size)
        self.file = file
    }

    private static func open(_ walk: borrowing PathWalk, _ path: String) throws(Objection) -> OpenFile {
        do throws(SystemError) {
            return try walk.open()
        } catch {
            throw objection(error, walk, path)
        }
    }

    private static func status(of file: borrowing OpenFile, _ path: String) throws(Objection) -> stat {
        do throws(SystemError) {
            return try file.status()
        } catch {
            throw Objection(error, at: path)
        }
    }

    private static func objection(_ error: SystemError, _ walk: borrowing PathWalk, _ path: String) -> Objection {
        guard error.code == ENOENT, let missing = walk.hops.last, missing.kind == .missing,
            walk.hops.contains(where: { $0.isLast && $0.kind != .missing })
        else { return Objection(error, at: path) }
        return Objection(
            "is a link that leads nowhere: there is no \(missing.path)",
            remedy: "point it at a module (`namei -l \(path)` shows the way), or remove it")
    }
}
