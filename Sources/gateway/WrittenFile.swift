import GatewayIO
import Glibc

/// A small file that a command writes so that it is whole or not there, and never readable for more people than it is for.
struct WrittenFile {
    let path: String

    /// More than keys, certificates and answers of programs have.
    private static let mostBytes = 1 << 20

    /// What is in it; nil when it is not there.
    func read() throws(DevCertFailure) -> [UInt8]? {
        // Opening a pipe that nobody writes to would wait for ever.
        let file = FileDescriptor(adopting: unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))
        if file.number < 0, errno == ENOENT { return nil }
        guard file.number >= 0 else { throw failure("cannot read") }
        return try Self.rest(of: file.number, path)
    }

    /// What can be read from a descriptor, from where it stands.
    static func rest(of descriptor: Int32, _ name: String) throws(DevCertFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 14)
        while bytes.count <= mostBytes {
            let count = unsafe part.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            guard count > 0 else { throw DevCertFailure("cannot read \(name): \(Errno.last)") }
            bytes += part[..<count]
        }
        throw DevCertFailure("cannot read \(name): it is larger than \(mostBytes) bytes")
    }

    /// Writes it where nothing is; what is there is never touched.
    func create(_ bytes: [UInt8], mode: mode_t) throws(DevCertFailure) {
        let file = FileDescriptor(adopting: unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode))
        guard file.number >= 0 else { throw failure("cannot write") }
        // A strict umask would keep from others what is for everybody.
        _ = fchmod(file.number, mode)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file.number, $0.baseAddress, $0.count) }
            guard count > 0 else {
                let reason = failure("cannot write")
                _ = unsafe unlink(path)
                throw reason
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Writes it whether it is there or not; who reads it meanwhile has the old one or the new one.
    func replace(_ bytes: [UInt8], mode: mode_t) throws(DevCertFailure) {
        let next = WrittenFile(path: "\(path).\(getpid()).new")
        try next.create(bytes, mode: mode)
        guard unsafe rename(next.path, path) == 0 else {
            let reason = failure("cannot write")
            _ = unsafe unlink(next.path)
            throw reason
        }
    }

    /// Removes it; false when it was not there.
    func remove() throws(DevCertFailure) -> Bool {
        if unsafe unlink(path) == 0 { return true }
        guard errno == ENOENT else { throw failure("cannot remove") }
        return false
    }

    private func failure(_ what: String) -> DevCertFailure { DevCertFailure("\(what) \(path): \(Errno.last)") }
}
