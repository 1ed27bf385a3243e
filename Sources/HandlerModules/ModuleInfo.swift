import Glibc

/// What a file says about itself without any of it being run: for `gateway inspect`.
package struct ModuleInfo: Sendable {
    /// Canonical, without symbolic links.
    package let path: String
    /// Bytes.
    package let size: Int
    /// When it was written, in seconds since 1970.
    package let modifiedAt: Int64
    package let digest: UInt64
    /// Why a gateway that runs as this user would not load it, a predicate; nil when it would.
    package let objection: String?
    /// What it is, or why it is no module.
    package let image: Result<ELFImage, ELFError>

    /// Reads the whole file.
    package init(path: String) throws(SystemError) {
        let canonical = try ModuleLocator.canonical(path)
        // O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing to a regular file.
        let file = try OpenFile(path: canonical, flags: O_RDONLY | O_NONBLOCK)
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { throw SystemError("open", code: EINVAL) }
        self.path = canonical
        size = Int(status.st_size)
        modifiedAt = Int64(status.st_mtim.tv_sec)
        digest = try Self.digest(of: file)
        objection = Self.objection(to: path, status)
        do throws(ELFError) {
            image = .success(try ELFImage(reading: file))
        } catch {
            image = .failure(error)
        }
    }

    /// When a file was written, in seconds since 1970; nil when it cannot be looked at.
    package static func modified(_ path: String) -> Int64? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return Int64(status.st_mtim.tv_sec)
    }

    private static func digest(of file: borrowing OpenFile) throws(SystemError) -> UInt64 {
        var digest = ContentDigest()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var offset = 0
        while true {
            let count = try file.read(into: &buffer, at: offset)
            digest.update(buffer, count: count)
            offset &+= count
            if count < buffer.count {
                return digest.finish(tail: buffer[(count - count % ContentDigest.stripe)..<count])
            }
        }
    }

    private static func objection(to path: String, _ status: stat) -> String? {
        if let objection = FileTrust.objection(to: .module, PathWalk.Status(status)) { return objection }
        do throws(Objection) {
            try FileTrust.check(PathWalk(path))
            return nil
        } catch {
            return error.text
        }
    }
}
