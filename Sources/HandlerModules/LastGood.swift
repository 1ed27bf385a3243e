import Glibc

/// What outlives the gateway of its handlers: copies of the modules that proved good, for a start at which the file is
/// bad, and what was decided about them.
///
/// In `.last-good` of the folder of modules, or of `state_dir`, a folder of mode 0700 that is ours, for each handler:
///
///     <handler>.so             the build that proved good last
///     <handler>.so.earlier     the one before it, for the case that the last one crashed the process after all
///     <handler>.so.rollback    the build that was gone back to
///     <handler>.so.standing    `Standing`
///
/// The names cannot collide, whatever handlers are called. Any thread, one at a time for each handler.
package struct LastGood: Sendable {
    /// Why a copy could not be kept; the reload itself is not affected.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    /// Which copy.
    package enum Kind: String, Sendable {
        case last = ".so"
        case earlier = ".so.earlier"
        case rollback = ".so.rollback"
    }

    private static let part = 1 << 16

    /// Where the copies lie.
    package let folder: String

    /// Nothing is made before there is something to remember.
    package init(in parent: String) {
        folder = "\(parent)/.last-good"
    }

    /// Keeps a copy of a staged module that proved good; the one that did so before it is kept as well. An older copy
    /// is replaced at once or not at all.
    package func remember(_ staged: String, handler: String) throws(Failure) {
        try keep(handler) { () throws(SystemError) in
            let path = path(.last, handler)
            if let known = try? digest(of: path) {
                if known == (try digest(of: staged)) { return }
                guard unsafe rename(path, self.path(.earlier, handler)) == 0 else { throw SystemError("rename") }
            }
            try copy(staged, to: path, over: partial(handler))
        }
    }

    /// Keeps a copy of the build that was gone back to.
    package func rememberRollback(_ staged: String, handler: String) throws(Failure) {
        try keep(handler) { () throws(SystemError) in
            try copy(staged, to: path(.rollback, handler), over: partial(handler))
        }
    }

    /// A copy of a handler's module; nil when there is none, or others could have written it.
    package func recall(_ handler: String, _ kind: Kind = .last) -> String? {
        guard ModuleLocator.isName(handler), let path = try? ModuleLocator.canonical(path(kind, handler)) else {
            return nil
        }
        do throws(Objection) {
            try check()
            return try ModuleFile(trusting: path).path
        } catch {
            return nil
        }
    }

    /// Keeps what was decided; nothing is kept of what is usual.
    package func remember(_ standing: Standing, handler: String) throws(Failure) {
        guard standing != Standing() || hasStanding(handler) else { return }
        try keep(handler) { () throws(SystemError) in
            let bytes = Array(standing.text.utf8)
            try replace(standingPath(handler), over: partial(handler), mode: 0o600) { file throws(SystemError) in
                try file.write(bytes, count: bytes.count)
            }
            if standing.rolledBack == nil { _ = unsafe unlink(path(.rollback, handler)) }
        }
    }

    /// What was decided; the usual where nothing was, or others could have written it.
    package func standing(of handler: String) -> Standing {
        guard ModuleLocator.isName(handler) else { return Standing() }
        do throws(Objection) {
            try check()
        } catch {
            return Standing()
        }
        guard let file = try? OpenFile(reading: standingPath(handler)), let status = try? file.status(),
            status.st_uid == geteuid(), status.st_mode & 0o022 == 0
        else { return Standing() }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = (try? file.read(into: &buffer, at: 0)) ?? 0
        return Standing(text: String(decoding: buffer[..<count], as: UTF8.self))
    }

    // MARK: Files

    private func path(_ kind: Kind, _ handler: String) -> String { "\(folder)/\(handler)\(kind.rawValue)" }
    private func standingPath(_ handler: String) -> String { "\(folder)/\(handler).so.standing" }
    private func partial(_ handler: String) -> String { "\(folder)/.\(handler).part" }
    private func hasStanding(_ handler: String) -> Bool { unsafe access(standingPath(handler), F_OK) == 0 }

    private func keep(_ handler: String, _ body: () throws(SystemError) -> Void) throws(Failure) {
        guard ModuleLocator.isName(handler) else { throw Failure(description: "\"\(handler)\" is no handler name") }
        do throws(Objection) {
            try makeFolder()
        } catch {
            throw Failure(description: "\(folder) \(error.text)")
        }
        do throws(SystemError) {
            try body()
        } catch {
            throw Failure(description: "nothing could be kept in \(folder) (\(error))")
        }
    }

    private func makeFolder() throws(Objection) {
        guard unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw Objection("cannot be made (\(SystemError("mkdir")))")
        }
        try check()
    }

    /// Checks that the folder is a folder, not a link to one, and that only we can look or write into it.
    private func check() throws(Objection) {
        var status = stat()
        guard unsafe lstat(folder, &status) == 0 else { throw Objection("is of no use (\(SystemError("lstat")))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw Objection("is not a folder") }
        guard status.st_uid == geteuid() else { throw Objection("belongs to user \(status.st_uid)") }
        guard status.st_mode & 0o077 == 0 else { throw Objection("is open to other users; its mode must be 0700") }
    }

    private func copy(_ source: String, to path: String, over partial: String) throws(SystemError) {
        let from = try OpenFile(reading: source)
        try replace(path, over: partial, mode: 0o500) { to throws(SystemError) in
            try Self.read(from) { buffer, count throws(SystemError) in try to.write(buffer, count: count) }
        }
    }

    private func replace(
        _ path: String, over partial: String, mode: mode_t, _ write: (borrowing OpenFile) throws(SystemError) -> Void
    ) throws(SystemError) {
        _ = unsafe unlink(partial)
        defer { _ = unsafe unlink(partial) }
        let file = try OpenFile(path: partial, flags: O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        try write(file)
        // The power may fail between this rename and the next start, and half a module is worse than none.
        guard fsync(file.descriptor) == 0 else { throw SystemError("fsync") }
        guard unsafe rename(partial, path) == 0 else { throw SystemError("rename") }
    }

    private func digest(of path: String) throws(SystemError) -> UInt64 {
        let file = try OpenFile(reading: path)
        var digest = ContentDigest()
        var tail: [UInt8] = []
        try Self.read(file) { buffer, count in
            digest.update(buffer, count: count)
            tail = Array(buffer[(count - count % ContentDigest.stripe)..<count])
        }
        return digest.finish(tail: tail[...])
    }

    /// Hands over a file part by part, the last one being shorter than the others, perhaps empty.
    private static func read(
        _ file: borrowing OpenFile, _ body: ([UInt8], Int) throws(SystemError) -> Void
    ) throws(SystemError) {
        var buffer = [UInt8](repeating: 0, count: part)
        var offset = 0
        var count = 0
        repeat {
            count = try file.read(into: &buffer, at: offset)
            try body(buffer, count)
            offset += count
        } while count == buffer.count
    }
}
