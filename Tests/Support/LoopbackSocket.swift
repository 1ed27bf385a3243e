import Glibc

/// A blocking connection to a port of this machine. Whatever it waits for longer than ten seconds is an error, so a
/// test that waits for something that never happens fails and does not hang.
package final class LoopbackSocket {
    /// What a system call on it failed with.
    package struct Failure: Error, CustomStringConvertible {
        package let call: String
        package let code: Int32
        package var description: String { "\(call): \(String(cString: strerror(code)))" }
    }

    private var number: Int32
    /// What every byte is changed with on its way, both ways.
    package var key: UInt8 = 0

    /// - Parameter receiveBuffer: bytes the kernel may hold for us; nil for what it likes.
    package init(port: UInt16, receiveBuffer: Int32? = nil) throws {
        number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw Failure(call: "socket", code: errno) }
        if var size = receiveBuffer { setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, 4) }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(number, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(number, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(number, Int32(IPPROTO_TCP), TCP_NODELAY, &on, 4)
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let answer = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard answer == 0 else { throw Failure(call: "connect", code: errno) }
    }

    deinit { close() }

    /// Sends everything.
    package func send(_ bytes: [UInt8]) throws {
        let bytes = key == 0 ? bytes : bytes.map { $0 ^ key }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(number, raw.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(call: "send", code: errno) }
            sent += count
        }
    }

    /// What is there, waiting for the first byte; empty at the end of the stream.
    package func receive() throws -> [UInt8] {
        let count = Self.room
        var bytes = [UInt8](repeating: 0, count: count)
        let got = bytes.withUnsafeMutableBytes { recv(number, $0.baseAddress, count, 0) }
        guard got >= 0 else { throw Failure(call: "recv", code: errno) }
        bytes.removeLast(count - got)
        return key == 0 ? bytes : bytes.map { $0 ^ key }
    }

    private static let room = 64 * 1024

    /// Whether something, an end included, arrives within so many milliseconds: silence is what is tested then.
    package func hears(within milliseconds: Int32) -> Bool {
        var interest = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        return poll(&interest, 1, milliseconds) > 0
    }

    /// Whether the kernel takes more to send within so many milliseconds.
    package func takes(within milliseconds: Int32) -> Bool {
        var interest = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        return poll(&interest, 1, milliseconds) > 0
    }

    /// Says that nothing more will be sent.
    package func finishSending() { shutdown(number, Int32(SHUT_WR)) }

    /// Ends the connection with a reset.
    package func reset() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(number, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    package func close() {
        if number >= 0 { _ = Glibc.close(number) }
        number = -1
    }
}
