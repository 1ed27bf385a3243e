import CLinux
import Glibc

extension sockaddr_un {
    /// The name of a socket in the file system.
    init(path: String) throws(Errno) {
        self.init()
        sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        // Without a name, or with a NUL in front, the kernel would bind an address that no file stands for.
        guard !bytes.isEmpty, !bytes.contains(0) else { throw Errno(EINVAL) }
        guard bytes.count < MemoryLayout.size(ofValue: sun_path) else { throw Errno(ENAMETOOLONG) }
        unsafe withUnsafeMutableBytes(of: &sun_path) { unsafe $0.copyBytes(from: bytes) }
    }
}

extension Socket {
    /// Connects to a socket in the file system; unlike a socket that was accepted, this one blocks, each call at most
    /// for the given time, after which it would block; 0 = for ever.
    package init(connectingTo path: String, timeout seconds: Int) throws(Errno) {
        var name = try sockaddr_un(path: path)
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw Errno.last }
        let descriptor = FileDescriptor(adopting: number)
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            let size = socklen_t(MemoryLayout<timeval>.size)
            guard unsafe setsockopt(number, SOL_SOCKET, option, &limit, size) == 0 else { throw Errno.last }
        }
        let answer = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard answer == 0 else { throw Errno.last }
        self.init(adopting: descriptor.release())
    }

    /// The user at the other end of a unix socket, as the kernel saw it when it connected; nil for other sockets.
    package var peerUser: UInt32? { peerCredentials.flatMap { $0.user == .max ? nil : $0.user } }

    /// The process at the other end of a unix socket that was connected: the one that listens; nil for other sockets, and
    /// for one in a container whose processes cannot be seen from here.
    package var peerProcess: Int32? {
        peerCredentials.flatMap { $0.process == 0 ? nil : Int32(bitPattern: $0.process) }
    }

    private var peerCredentials: (process: UInt32, user: UInt32)? {
        // struct ucred of unix(7): process, user and group, 32 bits each.
        var credentials: [UInt32] = [0, .max, .max]
        var length = socklen_t(credentials.count * MemoryLayout<UInt32>.size)
        guard unsafe getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        return (credentials[0], credentials[1])
    }

    /// Reads once, at most so many bytes, behind those that are there.
    package func read(appendingTo bytes: inout [UInt8], atMost count: Int) -> IOResult {
        var part = [UInt8](repeating: 0, count: count)
        let result = unsafe part.withUnsafeMutableBytes { unsafe read(into: $0) }
        if case .moved(let moved) = result { bytes += part[..<moved] }
        return result
    }

    /// Sends what the kernel takes, in one call.
    package func write(_ bytes: ArraySlice<UInt8>) -> IOResult {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        return count >= 0 ? .moved(count) : Self.interrupted()
    }
}
