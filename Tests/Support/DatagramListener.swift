import Glibc

/// The far end of datagrams on a unix socket, as a service manager is. Whatever it waits for longer than ten seconds is
/// nil.
package final class DatagramListener {
    /// As NOTIFY_SOCKET has it: `@` stands for the NUL of an abstract socket.
    package let name: String
    private var number: Int32

    /// - Parameter isAbstract: without a file.
    package init(isAbstract: Bool = true) {
        number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        precondition(number >= 0, "no socket")
        let unique = "gateway-test-\(getpid())-\(UInt64.random(in: 0...(.max)))"
        name = isAbstract ? "@\(unique)" : "/tmp/\(unique)"
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if isAbstract { bytes[0] = 0 } else { bytes.append(0) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count)
        let answer = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, length) }
        }
        precondition(answer == 0, "cannot bind \(name)")
    }

    deinit { close() }

    /// Takes the socket away, and its file.
    package func close() {
        // Once: the number may be another descriptor's by then, of a test beside this one.
        if number < 0 { return }
        _ = Glibc.close(number)
        number = -1
        if name.hasPrefix("/") { unlink(name) }
    }

    /// The next datagram, waited for so many milliseconds at most.
    package func receive(within milliseconds: Int32 = 10_000) -> String? {
        var interest = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        guard poll(&interest, 1, milliseconds) == 1 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = recv(number, &bytes, bytes.count, 0)
        return count >= 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    /// What is there already.
    package func waiting() -> [String] {
        var found: [String] = []
        while let next = receive(within: 0) { found.append(next) }
        return found
    }
}
