import CLinux
import Glibc

/// Where a socket is bound or connected: an IPv4 or IPv6 address and port, or the path of a unix socket.
public struct SocketAddress: Equatable, Sendable, CustomStringConvertible {
    /// The numeric address without port, without brackets; for a unix socket its path, empty when it has none.
    public let host: String
    /// 0 for a unix socket.
    public let port: UInt16
    public let isUnix: Bool

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
        isUnix = false
    }

    public init(unixPath: String) {
        host = unixPath
        port = 0
        isUnix = true
    }

    /// An address of 4 or 16 bytes in network order; nil for other numbers of bytes.
    init?(bytes: [UInt8], port: UInt16) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        let host = unsafe bytes.withUnsafeBytes { raw -> String in
            if raw.count == 4 { return unsafe Self.text(UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self))) }
            if let mapped = unsafe Self.mapped(raw) { return Self.text(mapped) }
            return unsafe Self.text(AF_INET6, raw.baseAddress!)
        }
        self.init(host: host, port: port)
    }

    /// A numeric address of one family; nil for what is none.
    init?(numeric text: String, isIPv6: Bool, port: UInt16) {
        guard !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: isIPv6 ? 16 : 4)
        let result = unsafe bytes.withUnsafeMutableBytes { room in
            unsafe inet_pton(isIPv6 ? AF_INET6 : AF_INET, text, room.baseAddress)
        }
        guard result == 1 else { return nil }
        self.init(bytes: bytes, port: port)
    }

    init?(peerOf number: Int32) {
        unsafe self.init { address, length in unsafe getpeername(number, address, length) }
    }

    init?(boundTo number: Int32) {
        unsafe self.init { address, length in unsafe getsockname(number, address, length) }
    }

    private init?(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let answer = unsafe withUnsafeMutableBytes(of: &storage) { raw in
            unsafe ask(raw.assumingMemoryBound(to: sockaddr.self).baseAddress!, &length)
        }
        guard answer == 0 else { return nil }
        self.init(storage, length: Int(length))
    }

    private init?(_ storage: sockaddr_storage, length: Int) {
        let parsed: SocketAddress? = unsafe withUnsafeBytes(of: storage) { raw in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let address = unsafe raw.loadUnaligned(as: sockaddr_in.self)
                return SocketAddress(
                    host: Self.text(UInt32(bigEndian: address.sin_addr.s_addr)),
                    port: UInt16(bigEndian: address.sin_port))
            case AF_INET6:
                var address = unsafe raw.loadUnaligned(as: sockaddr_in6.self)
                let port = UInt16(bigEndian: address.sin6_port)
                let mapped = unsafe withUnsafeBytes(of: &address.sin6_addr) { unsafe Self.mapped($0) }
                if let mapped { return SocketAddress(host: Self.text(mapped), port: port) }
                return unsafe SocketAddress(host: Self.text(AF_INET6, &address.sin6_addr), port: port)
            case AF_UNIX:
                let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
                let path = unsafe raw[min(offset, length)..<length].prefix { $0 != 0 }
                return unsafe SocketAddress(unixPath: String(decoding: path, as: UTF8.self))
            default:
                return nil
            }
        }
        guard let parsed else { return nil }
        self = parsed
    }

    /// The IPv4 address in an IPv6 one: a dual-stack listener shows IPv4 peers so, and people know them by four
    /// numbers.
    private static func mapped(_ address: UnsafeRawBufferPointer) -> UInt32? {
        // RFC 4291 2.5.5.2: 80 bits of zero, 16 of one, and the address.
        guard unsafe address.loadUnaligned(as: UInt64.self) == 0,
            unsafe UInt32(bigEndian: address.loadUnaligned(fromByteOffset: 8, as: UInt32.self)) == 0xFFFF
        else { return nil }
        return unsafe UInt32(bigEndian: address.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
    }

    /// An IPv4 address; by hand, since every connection has two and the C library prints formatted.
    private static func text(_ address: UInt32) -> String {
        unsafe String(unsafeUninitializedCapacity: 15) { text in
            var count = 0
            func append(_ byte: UInt8) {
                unsafe text[count] = byte
                count += 1
            }
            for shift in stride(from: 24, through: 0, by: -8) {
                let number = UInt8(truncatingIfNeeded: address >> shift)
                if shift < 24 { append(UInt8(ascii: ".")) }
                if number >= 100 { append(UInt8(ascii: "0") + number / 100) }
                if number >= 10 { append(UInt8(ascii: "0") + number / 10 % 10) }
                append(UInt8(ascii: "0") + number % 10)
            }
            return count
        }
    }

    private static func text(_ family: Int32, _ address: UnsafeRawPointer) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            guard unsafe inet_ntop(family, address, start, socklen_t(buffer.count)) != nil else { return "" }
            return unsafe String(cString: start)
        }
    }

    public var description: String {
        if isUnix { return "unix:\(host)" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
