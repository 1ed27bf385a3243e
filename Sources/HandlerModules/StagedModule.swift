import Glibc
import Synchronization

/// A private copy of a module, the file that is really loaded; it is removed with its owner unless `keep()` was called.
///
/// Never the file in `Plugins/`: writing over a mapped library kills the process. Never the same inode twice: the
/// loader would answer with the code it already has.
package struct StagedModule: ~Copyable, Sendable {
    /// Largest module that is taken.
    package static let largest = 1 << 30
    /// Bytes per read.
    private static let part = 1 << 16

    package let path: String
    /// What was in it, to tell whether another build was put there.
    package let digest: UInt64
    /// The copy, readable.
    let file: OpenFile
    private let isKept = Atomic(false)

    private init(path: String, digest: UInt64, file: consuming OpenFile) {
        self.path = path
        self.digest = digest
        self.file = file
    }

    /// Copies a module into the run directory as `<handler>.<attempt>.<digest8>.so`, mode 0500.
    package static func copy(
        of source: borrowing ModuleFile, handler: String, attempt: UInt64, to folder: RunDirectory
    ) throws(StagingError) -> StagedModule {
        guard source.size <= largest else { throw .tooLarge(source.size) }
        let partial = "\(folder.path)/\(handler).\(attempt).part"
        defer { _ = unsafe unlink(partial) }
        do throws(SystemError) {
            let file = try OpenFile(path: partial, flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o500)
            if let digest = try transfer(source, to: file) {
                let path = "\(folder.path)/\(handler).\(attempt).\(hexadecimal(digest).prefix(8)).so"
                // Not rename: that would replace the file of a mapped image, and the loader, asked for the same
                // path, would answer with that image.
                guard unsafe link(partial, path) == 0 else { throw SystemError("link") }
                return StagedModule(path: path, digest: digest, file: file)
            }
        } catch {
            throw .system(error)
        }
        throw .changing
    }

    deinit {
        if !isKept.load(ordering: .relaxed) { _ = unsafe unlink(path) }
    }

    /// Leaves the file in the run directory, where debuggers and profilers find the code of the mapped image.
    package func keep() {
        isKept.store(true, ordering: .relaxed)
    }

    /// Answers the digest, or nil when the source changed in the meantime.
    private static func transfer(
        _ source: borrowing ModuleFile, to file: borrowing OpenFile
    ) throws(SystemError) -> UInt64? {
        let before = try source.file.status()
        var digest = ContentDigest()
        var buffer = [UInt8](repeating: 0, count: part)
        var offset = 0
        var count = 0
        repeat {
            count = try source.file.read(into: &buffer, at: offset)
            try file.write(buffer, count: count)
            digest.update(buffer, count: count)
            offset += count
        } while count == part && offset <= largest
        let after = try source.file.status()
        guard after.st_size == off_t(offset), offset == source.size,
            after.st_mtim.tv_sec == before.st_mtim.tv_sec, after.st_mtim.tv_nsec == before.st_mtim.tv_nsec
        else { return nil }
        return digest.finish(tail: buffer[(count - count % ContentDigest.stripe)..<count])
    }
}

/// Why a module could not be copied.
package enum StagingError: Error, Equatable {
    /// The file changed during the copy.
    case changing
    case tooLarge(Int)
    case system(SystemError)
}

extension StagingError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .changing: "it is still being written"
        case .tooLarge(let size): "it has \(size) bytes, more than the \(StagedModule.largest) that are taken"
        case .system(let error): "it cannot be copied (\(error))"
        }
    }
}
