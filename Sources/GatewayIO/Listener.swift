import CLinux
import Glibc
import Synchronization

/// A bound, listening, non-blocking socket that several workers may accept from.
public struct Listener: ~Copyable, Sendable {
    /// Where to listen.
    public enum Address: Equatable, Sendable {
        /// Every IPv4 and IPv6 address; IPv4 alone where the kernel has no IPv6.
        case any(port: UInt16)
        /// One IPv4 address, 4 bytes in network order.
        case ipv4([UInt8], port: UInt16)
        /// One IPv6 address, 16 bytes in network order.
        case ipv6([UInt8], port: UInt16)
        /// With a mode the socket file has that one whatever the umask, and with a group it belongs to that.
        case unix(path: String, mode: UInt32? = nil, group: UInt32? = nil)
        /// The same, but the socket file is for its owner alone (mode 0600).
        case privateUnix(path: String)
        /// A listening descriptor that the parent process has opened.
        case inherited(Int32)
        /// A listening descriptor that another program of this gateway has had, whose place this one takes: the file of a
        /// unix socket is ours from here on.
        case adopted(Int32)
    }

    /// What accepting came to.
    public enum Accepted: ~Copyable {
        case socket(Socket)
        /// No peer waits any more.
        case none
        /// This peer is gone already; the next one may be fine.
        case lost
        /// No descriptor or no memory is left, or the socket does not listen any more: pause, serve the peers that are
        /// here, try again later.
        case exhausted(Errno)
    }

    private static let backlog: Int32 = 4096

    private let descriptor: FileDescriptor
    /// Where it really listens: port 0 has become a number.
    public let address: SocketAddress
    /// The socket file to be removed at the end; nil for anything that is not a unix socket of ours.
    private let file: SocketFile?
    private let isInherited: Bool
    private let isGivenAway = Atomic(false)

    public var number: Int32 { descriptor.number }

    public init(_ address: Address) throws(Errno) {
        switch address {
        case .any(let port):
            do throws(Errno) {
                try self.init(ipv6: Array(repeating: 0, count: 16), port: port, dualStack: true)
            } catch {
                guard error.code == EAFNOSUPPORT || error.code == EADDRNOTAVAIL else { throw error }
                try self.init(ipv4: [0, 0, 0, 0], port: port)
            }
        case .ipv4(let host, let port): try self.init(ipv4: host, port: port)
        case .ipv6(let host, let port): try self.init(ipv6: host, port: port, dualStack: false)
        case .unix(let path, let mode, let group): try self.init(unixPath: path, mode: mode, group: group)
        case .privateUnix(let path): try self.init(unixPath: path, mode: 0o600, group: nil)
        case .inherited(let number): try self.init(inherited: number, isOwn: false)
        case .adopted(let number): try self.init(inherited: number, isOwn: true)
        }
    }

    deinit {
        if !isGivenAway.load(ordering: .relaxed) { file?.remove() }
    }

    private init(ipv4 bytes: [UInt8], port: UInt16) throws(Errno) {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        guard bytes.count == MemoryLayout.size(ofValue: name.sin_addr) else { throw Errno(EINVAL) }
        unsafe withUnsafeMutableBytes(of: &name.sin_addr) { unsafe $0.copyBytes(from: bytes) }
        let socket = try Self.open(AF_INET)
        Self.enable(socket, SOL_SOCKET, SO_REUSEADDR, true)
        guard Self.bind(socket, &name) == 0 else { throw Errno.last }
        try self.init(listening: socket, file: nil)
    }

    private init(ipv6 bytes: [UInt8], port: UInt16, dualStack: Bool) throws(Errno) {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        guard bytes.count == MemoryLayout.size(ofValue: name.sin6_addr) else { throw Errno(EINVAL) }
        unsafe withUnsafeMutableBytes(of: &name.sin6_addr) { unsafe $0.copyBytes(from: bytes) }
        let socket = try Self.open(AF_INET6)
        Self.enable(socket, SOL_SOCKET, SO_REUSEADDR, true)
        Self.enable(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, !dualStack)
        guard Self.bind(socket, &name) == 0 else { throw Errno.last }
        try self.init(listening: socket, file: nil)
    }

    private init(unixPath path: String, mode: mode_t?, group: gid_t?) throws(Errno) {
        var name = try sockaddr_un(path: path)
        let socket = try Self.open(AF_UNIX)
        // Linux gives the file the mode of the socket, so there is no moment in which others could connect.
        if let mode, fchmod(socket.number, group == nil ? mode : mode & 0o600) != 0 { throw Errno.last }
        let file = try SocketFile.claim(path, &name) { name throws(Errno) in
            guard Self.bind(socket, &name) == 0 else { throw Errno.last }
            if let group, unsafe lchown(path, uid_t.max, group) != 0 { throw Self.unbound(path) }
            if let mode, unsafe chmod(path, mode) != 0 { throw Self.unbound(path) }
            guard listen(socket.number, Self.backlog) == 0 else { throw Self.unbound(path) }
        }
        try self.init(listening: socket, file: file)
    }

    /// What went wrong with a socket file that is there already and goes again.
    private static func unbound(_ path: String) -> Errno {
        let error = Errno.last
        unsafe unlink(path)
        return error
    }

    private init(inherited number: Int32, isOwn: Bool) throws(Errno) {
        var listening: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard unsafe getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 else { throw Errno.last }
        guard listening != 0 else { throw Errno(EINVAL) }
        let flags = fcntl(number, F_GETFL)
        guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else { throw Errno.last }
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        let descriptor = FileDescriptor(adopting: number)
        guard let address = SocketAddress(boundTo: number) else { throw Errno.last }
        self.descriptor = descriptor
        self.address = address
        // One that has gone meanwhile is nobody's.
        file = isOwn && address.isUnix ? try? SocketFile(address.host) : nil
        isInherited = !isOwn
    }

    private init(listening socket: consuming FileDescriptor, file: SocketFile?) throws(Errno) {
        guard listen(socket.number, Self.backlog) == 0 else { throw Errno.last }
        guard let address = SocketAddress(boundTo: socket.number) else { throw Errno.last }
        descriptor = socket
        self.address = address
        self.file = file
        isInherited = false
    }

    private static func open(_ family: Int32) throws(Errno) -> FileDescriptor {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = socket(family, type, 0)
        guard number >= 0 else { throw Errno.last }
        return FileDescriptor(adopting: number)
    }

    private static func enable(_ socket: borrowing FileDescriptor, _ level: Int32, _ name: Int32, _ on: Bool) {
        var value: Int32 = on ? 1 : 0
        _ = unsafe setsockopt(socket.number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func bind<Name>(_ socket: borrowing FileDescriptor, _ name: inout Name) -> Int32 {
        unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.bind(socket.number, $0, socklen_t(MemoryLayout<Name>.size))
            }
        }
    }

    /// Refuses new peers from now on, also those in the backlog, even if another process still holds the descriptor,
    /// and removes the file of a unix socket.
    ///
    /// An inherited socket goes on listening for the process that has opened it.
    public func close() {
        if isGivenAway.load(ordering: .relaxed) { return }
        if !isInherited { _ = shutdown(descriptor.number, Int32(SHUT_RDWR)) }
        file?.remove()
    }

    /// Another program of this gateway listens here from now on, with a duplicate: closing lets go of this one, and
    /// nothing more. False takes it back.
    public func giveAway(_ isGiven: Bool = true) { isGivenAway.store(isGiven, ordering: .relaxed) }

    /// A descriptor for that other program, which has no other owner.
    public func duplicate() throws(Errno) -> FileDescriptor {
        let number = fcntl(descriptor.number, F_DUPFD_CLOEXEC, 3)
        guard number >= 0 else { throw Errno.last }
        return FileDescriptor(adopting: number)
    }

    /// Takes the next peer that waits.
    public func accept() -> Accepted {
        let number = clinux_accept(descriptor.number)
        if number >= 0 { return .socket(Socket(adopting: number)) }
        let error = Errno.last
        switch error.code {
        case EAGAIN: return .none
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .exhausted(error)
        // The process that gave us an inherited socket may shut it down. It stays readable in the poller, so taking
        // this for one lost peer would spin for ever.
        case EINVAL, EBADF, ENOTSOCK: return .exhausted(error)
        // Whatever else befell this peer on its way in (ECONNABORTED, EINTR, EPROTO, network errors that accept
        // passes on) says nothing about the next one: a listener never ends over it.
        default: return .lost
        }
    }
}
