import Glibc
import Synchronization

/// A file that grows under another name until it is whole, and is gone with its last reference if it never is.
///
/// Every function may block: for the pool.
final class PartialFile: Sendable {
    private let path: String
    /// -1 once it is finished or discarded.
    private let descriptor: Mutex<Int32>

    /// Makes the directory if it is not there, and looks whether it can be written to.
    static func prepare(_ directory: String) throws(FileError) {
        if unsafe mkdir(directory, 0o700) != 0, errno != EEXIST { throw FileError(directory) }
        if unsafe access(directory, W_OK | X_OK) != 0 { throw FileError(directory) }
    }

    init(_ name: String, in directory: String) throws(FileError) {
        path = "\(directory)/\(name)"
        let opened = unsafe open("\(path).part", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard opened >= 0 else { throw FileError(path) }
        descriptor = Mutex(opened)
    }

    deinit { discard() }

    /// Writes behind what is there.
    func append(_ bytes: [UInt8]) throws(FileError) {
        try descriptor.withLock { descriptor throws(FileError) in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { throw FileError(path) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// The file is whole: it gets its name, and stays.
    func finish() throws(FileError) {
        try descriptor.withLock { descriptor throws(FileError) in
            guard fsync(descriptor) == 0, unsafe rename("\(path).part", path) == 0 else { throw FileError(path) }
            close(descriptor)
            descriptor = -1
        }
    }

    /// The file is not wanted any more; does nothing to a file that is finished.
    func discard() {
        descriptor.withLock { descriptor in
            guard descriptor >= 0 else { return }
            close(descriptor)
            unsafe unlink("\(path).part")
            descriptor = -1
        }
    }
}

/// What the system said to a file.
struct FileError: Error, CustomStringConvertible {
    let description: String

    init(_ path: String) { description = "\(path): \(unsafe String(cString: strerror(errno)))" }
}
