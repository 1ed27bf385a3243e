import CLinux
import Glibc

/// Where datagrams for a service manager go: a unix socket of its own, in the file system or abstract.
///
/// Nothing waits for whoever should read them, and none is connected to: a manager that was started again is found anew.
package struct NotificationSocket: ~Copyable, Sendable {
    /// What became of a datagram.
    package enum Outcome: Equatable, Sendable {
        case sent
        /// It finds no room as long as nobody reads: another try may do.
        case full
        /// Nobody is there.
        case lost(Errno)
    }

    private let descriptor: FileDescriptor
    private let name: sockaddr_un
    private let length: socklen_t

    /// - Parameter path: as sd_notify(3) has it: absolute, or behind `@` the name of an abstract socket.
    package init(path: String) throws(Errno) {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        guard bytes.count > 1, !bytes.contains(0), bytes[0] == UInt8(ascii: "/") || bytes[0] == UInt8(ascii: "@")
        else { throw Errno(EINVAL) }
        // unix(7): the name of an abstract socket begins with a NUL and has none at its end.
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 } else { bytes.append(0) }
        guard bytes.count <= MemoryLayout.size(ofValue: name.sun_path) else { throw Errno(ENAMETOOLONG) }
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw Errno.last }
        descriptor = FileDescriptor(adopting: number)
        self.name = name
        length = socklen_t((MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2) + bytes.count)
    }

    /// Sends one datagram, or does without.
    package func send(_ text: String) -> Outcome {
        var (name, text) = (name, text)
        let count = unsafe withUnsafePointer(to: &name) { name in
            unsafe name.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                text.withUTF8 { bytes in
                    unsafe sendto(
                        descriptor.number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), name, length)
                }
            }
        }
        if count >= 0 { return .sent }
        let error = Errno.last
        switch error.code {
        case EAGAIN, ENOBUFS, ENOMEM, EINTR: return .full
        default: return .lost(error)
        }
    }
}
