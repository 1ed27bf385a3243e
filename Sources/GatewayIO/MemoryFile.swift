import CLinux
import Glibc

/// A file without a name, in memory, for a child process.
package enum MemoryFile {
    /// - Parameter name: for people who look at /proc.
    /// - Returns: the file with the bytes in it, to be read from its beginning.
    package static func make(_ name: String, _ bytes: [UInt8]) throws(Errno) -> FileDescriptor {
        let file = FileDescriptor(adopting: unsafe clinux_memory_file(name))
        guard file.number >= 0 else { throw Errno.last }
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe Glibc.write(file.number, $0.baseAddress! + written, bytes.count - written)
            }
            guard count >= 0 else { throw Errno.last }
            written += count
        }
        guard lseek(file.number, 0, SEEK_SET) == 0 else { throw Errno.last }
        return file
    }

    /// All that is in a file, from where it stands.
    package static func read(_ file: borrowing FileDescriptor) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(file.number, $0.baseAddress, $0.count) }
            guard count >= 0 else { throw Errno.last }
            if count == 0 { return bytes }
            bytes += part[..<count]
        }
    }
}
