import GatewayIO
import Glibc
import Testing

/// A socket to be tested and the other end of it.
struct Pair: ~Copyable {
    let ours: Socket
    let theirs: FileDescriptor
}

/// The other end of what is tested: plain blocking sockets of the C library.
enum Loopback {
    /// Whether this machine has IPv6 at all.
    static let hasIPv6: Bool = {
        let number = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard number >= 0 else { return false }
        defer { close(number) }
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_addr = in6addr_loopback
        return with(&name) { bind(number, $0, $1) } == 0
    }()

    static func with<Name>(_ name: inout Name, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
        }
    }

    /// A connected descriptor; the caller closes it.
    static func connect(_ host: String, port: UInt16) throws -> FileDescriptor {
        let isV6 = host.contains(":")
        let client = FileDescriptor(adopting: socket(isV6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let answer: Int32
        if isV6 {
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            inet_pton(AF_INET6, host, &name.sin6_addr)
            answer = with(&name) { Glibc.connect(client.number, $0, $1) }
        } else {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            inet_pton(AF_INET, host, &name.sin_addr)
            answer = with(&name) { Glibc.connect(client.number, $0, $1) }
        }
        guard answer == 0 else { throw Errno.last }
        return client
    }

    static func connect(path: String) throws -> FileDescriptor {
        let client = FileDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var name = unixName(path)
        guard with(&name, { Glibc.connect(client.number, $0, $1) }) == 0 else { throw Errno.last }
        return client
    }

    static func unixName(_ path: String) -> sockaddr_un {
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
        return name
    }

    /// Two ends of one connection inside the kernel.
    static func pair() throws -> Pair {
        var numbers: (Int32, Int32) = (-1, -1)
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let answer = withUnsafeMutablePointer(to: &numbers) {
            $0.withMemoryRebound(to: Int32.self, capacity: 2) { socketpair(AF_UNIX, type, 0, $0) }
        }
        guard answer == 0 else { throw Errno.last }
        return Pair(ours: Socket(adopting: numbers.0), theirs: FileDescriptor(adopting: numbers.1))
    }

    /// A connected TCP socket of ours and the client's descriptor.
    static func tcp() throws -> Pair {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        let client = try connect("127.0.0.1", port: listener.address.port)
        return Pair(ours: try accept(listener), theirs: client)
    }

    /// Waits until the descriptor has something to say.
    static func wait(_ number: Int32, _ events: Int32 = POLLIN) {
        var polled = pollfd(fd: number, events: Int16(events), revents: 0)
        let ready = poll(&polled, 1, 20_000)
        #expect(ready == 1, "nothing happened on descriptor \(number)")
    }

    /// Waits until one end can be written to or the other has something to read.
    static func waitToGoOn(writing writer: Int32, reading reader: Int32) {
        var polled = [
            pollfd(fd: writer, events: Int16(POLLOUT), revents: 0),
            pollfd(fd: reader, events: Int16(POLLIN), revents: 0),
        ]
        let ready = poll(&polled, 2, 20_000)
        #expect(ready > 0, "nothing moves between descriptors \(writer) and \(reader)")
    }

    static func accept(_ listener: borrowing Listener) throws -> Socket {
        wait(listener.number)
        switch listener.accept() {
        case .socket(let socket): return socket
        case .none: throw Errno(EAGAIN)
        case .lost: throw Errno(ECONNABORTED)
        case .exhausted(let error): throw error
        }
    }

    /// What accepting came to, in a form that can be compared; a socket is closed again.
    enum Outcome: Equatable {
        case socket
        case none
        case lost
        case exhausted(Errno)
    }

    static func outcome(_ listener: borrowing Listener) -> Outcome {
        switch listener.accept() {
        case .socket: .socket
        case .none: .none
        case .lost: .lost
        case .exhausted(let error): .exhausted(error)
        }
    }

    static func write(_ number: Int32, _ bytes: [UInt8]) {
        let count = send(number, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        #expect(count == bytes.count)
    }

    /// Reads until so many bytes are there or the stream ends.
    static func read(_ number: Int32, _ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let step = bytes.withUnsafeMutableBytes { recv(number, $0.baseAddress! + filled, count - filled, 0) }
            if step < 0, errno == EAGAIN {
                wait(number)
                continue
            }
            if step <= 0 { break }
            filled += step
        }
        return Array(bytes[..<filled])
    }

    /// One read of whatever is there; nothing when there is nothing.
    static func some(_ number: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(number, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        return Array(bytes[..<max(0, count)])
    }

    /// Closes one end of a pair.
    static func end(_ descriptor: consuming FileDescriptor) {}
    static func end(_ socket: consuming Socket) {}

    static func isOpen(_ number: Int32) -> Bool { fcntl(number, F_GETFD) >= 0 }
}

/// A folder of its own, empty again when it goes.
struct TemporaryFolder: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/gateway-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno.last }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { rmdir(path) }
}
