import Glibc

/// Copies of the modules that served last, one for each handler, for a start at which the file on disk is bad.
///
/// `<folder of modules>/.last-good/<handler>.so`, in a folder of mode 0700 that is ours. It belongs to the control
/// thread.
package struct LastGood: Sendable {
    /// Why a copy could not be kept; the reload itself is not affected.
    package struct Failure: Error, Equatable, CustomStringConvertible {
        package let description: String
    }

    private static let part = 1 << 16

    /// Where the copies lie.
    package let folder: String

    /// Nothing is made before there is something to remember.
    package init(plugins: String) {
        folder = "\(plugins)/.last-good"
    }

    /// Keeps a copy of a staged module that serves; an older one is replaced at once or not at all.
    package func remember(_ staged: String, handler: String) throws(Failure) {
        guard ModuleLocator.isName(handler) else { throw Failure(description: "\"\(handler)\" is no handler name") }
        do throws(Objection) {
            try makeFolder()
        } catch {
            throw Failure(description: "\(folder) \(error.text)")
        }
        do throws(SystemError) {
            try copy(staged, to: "\(folder)/\(handler).so", over: "\(folder)/.\(handler).part")
        } catch {
            throw Failure(description: "no copy of the module in \(folder) (\(error))")
        }
    }

    /// The copy of a handler's module; nil when there is none, or others could have written it.
    package func recall(_ handler: String) -> String? {
        guard ModuleLocator.isName(handler), let path = try? ModuleLocator.canonical("\(folder)/\(handler).so") else {
            return nil
        }
        do throws(Objection) {
            try check()
            return try ModuleFile(trusting: path).path
        } catch {
            return nil
        }
    }

    private func makeFolder() throws(Objection) {
        guard unsafe mkdir(folder, 0o700) == 0 || errno == EEXIST else {
            throw Objection("cannot be made (\(SystemError("mkdir")))")
        }
        try check()
    }

    /// It is a folder, not a link to one, and nobody but us can look or write into it.
    private func check() throws(Objection) {
        var status = stat()
        guard unsafe lstat(folder, &status) == 0 else { throw Objection("is of no use (\(SystemError("lstat")))") }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw Objection("is not a folder") }
        guard status.st_uid == geteuid() else { throw Objection("belongs to user \(status.st_uid)") }
        guard status.st_mode & 0o077 == 0 else { throw Objection("is open to other users; its mode must be 0700") }
    }

    private func copy(_ source: String, to path: String, over partial: String) throws(SystemError) {
        _ = unsafe unlink(partial)
        defer { _ = unsafe unlink(partial) }
        let from = try OpenFile(reading: source)
        let to = try OpenFile(path: partial, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o500)
        var buffer = [UInt8](repeating: 0, count: Self.part)
        var offset = 0
        var count = 0
        repeat {
            count = try from.read(into: &buffer, at: offset)
            try to.write(buffer, count: count)
            offset += count
        } while count == buffer.count
        // The power may fail between this rename and the next start, and half a module is worse than none.
        guard fsync(to.descriptor) == 0 else { throw SystemError("fsync") }
        guard unsafe rename(partial, path) == 0 else { throw SystemError("rename") }
    }
}
