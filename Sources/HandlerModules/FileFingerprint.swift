import Glibc

/// What can be seen of a file without opening it; two equal looks mean that it was not written to in between.
package struct FileFingerprint: Equatable, Sendable {
    package let device: UInt64
    package let inode: UInt64
    package let size: Int64
    /// Nanoseconds since 1970 when its content changed last, and when anything about it did, its mode for example.
    package let modified: Int64
    package let changed: Int64

    package init(device: UInt64 = 0, inode: UInt64, size: Int64, modified: Int64, changed: Int64 = 0) {
        self.device = device
        self.inode = inode
        self.size = size
        self.modified = modified
        self.changed = changed
    }

    /// Looks at a regular file, also through symbolic links; nil when there is none.
    package init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        self.init(status)
    }

    /// Looks at a regular file that is open, be it for nothing else (O_PATH); nil when it is none.
    package init?(descriptor: Int32) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        self.init(status)
    }

    /// Whether both are of one file, whatever has become of it.
    package func isSameFile(as other: FileFingerprint) -> Bool { device == other.device && inode == other.inode }

    /// Whether nobody has written into it in between; names and modes may have changed.
    package func hasContent(of other: FileFingerprint) -> Bool {
        isSameFile(as: other) && size == other.size && modified == other.modified
    }

    /// Looks at whatever is there, where links lead or, where that is nothing, at the link itself.
    init(whatever path: String) {
        var status = stat()
        if unsafe stat(path, &status) != 0 { _ = unsafe lstat(path, &status) }
        self.init(status)
    }

    private init(_ status: stat) {
        self.init(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            modified: Self.nanoseconds(status.st_mtim), changed: Self.nanoseconds(status.st_ctim))
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
