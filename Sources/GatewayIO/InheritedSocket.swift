import CLinux
import Glibc

/// A descriptor that another process has opened for us, and what there is to know of it.
package struct InheritedSocket: Equatable, Sendable {
    package let number: Int32
    /// Where it listens for connections; nil when it does not.
    package let address: SocketAddress?
    /// It listens on every address, IPv4 ones included.
    package let isDualStack: Bool

    package init(_ number: Int32) {
        self.number = number
        let isStream = Self.option(SOL_SOCKET, SO_TYPE, of: number) == Int32(SOCK_STREAM.rawValue)
        let isListening = Self.option(SOL_SOCKET, SO_ACCEPTCONN, of: number) == 1
        address = isStream && isListening ? SocketAddress(boundTo: number) : nil
        isDualStack = address?.host == "::" && Self.option(Int32(IPPROTO_IPV6), IPV6_V6ONLY, of: number) == 0
    }

    /// A descriptor of the same socket with an owner of its own; the socket lives on when that one is closed.
    package func duplicate() throws(Errno) -> Int32 {
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw Errno.last }
        return copy
    }

    /// Lets go of it.
    package func close() { _ = Glibc.close(number) }

    private static func option(_ level: Int32, _ name: Int32, of number: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(number, level, name, &value, &length) == 0 ? value : nil
    }
}
