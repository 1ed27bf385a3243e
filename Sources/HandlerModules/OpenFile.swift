package import Glibc

/// A descriptor that is closed when its owner goes.
package struct OpenFile: ~Copyable, Sendable {
    /// The raw number, for calls of this target only.
    let descriptor: Int32

    init(adopting descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Opens `path` and never follows a symbolic link in its last part; `mode` counts when the file is created.
    package init(path: String, flags: Int32, mode: mode_t = 0) throws(SystemError) {
        let descriptor = unsafe open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw SystemError("open") }
        self.init(adopting: descriptor)
    }

    /// The same for a name in a folder that is open.
    init(name: String, in folder: borrowing OpenFile, flags: Int32) throws(SystemError) {
        let descriptor = unsafe openat(folder.descriptor, name, flags | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw SystemError("open") }
        self.init(adopting: descriptor)
    }

    package init(reading path: String) throws(SystemError) {
        // O_NONBLOCK: opening a FIFO must not wait for its writer. It means nothing to a regular file.
        try self.init(path: path, flags: O_RDONLY | O_NONBLOCK)
    }

    deinit {
        // Nothing is lost when close fails: what was written was checked by write.
        _ = close(descriptor)
    }

    /// How many bytes it has now.
    func size() throws(SystemError) -> Int {
        Int(try status().st_size)
    }

    func status() throws(SystemError) -> stat {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw SystemError("fstat") }
        return status
    }

    /// What a symbolic link says that was opened with O_PATH.
    func target() throws(SystemError) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe readlinkat(descriptor, "", bytes.baseAddress!.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard count >= 0 else { throw SystemError("readlink") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    /// Reads until the buffer is full or the file ends; answers how many bytes there were.
    func read(into buffer: inout [UInt8], at offset: Int) throws(SystemError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let count = unsafe buffer.withUnsafeMutableBytes { bytes in
                unsafe pread(descriptor, bytes.baseAddress! + filled, bytes.count - filled, offset &+ filled)
            }
            if count == 0 { break }
            if count < 0 {
                guard errno == EINTR else { throw SystemError("pread") }
                continue
            }
            filled += count
        }
        return filled
    }

    /// Writes the first `count` bytes of the buffer, all of them.
    func write(_ buffer: [UInt8], count: Int) throws(SystemError) {
        var written = 0
        while written < count {
            let result = unsafe buffer.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress! + written, count - written)
            }
            if result < 0 {
                guard errno == EINTR else { throw SystemError("write") }
                continue
            }
            written += result
        }
    }
}
