import Glibc

/// Where a listener is bound.
package enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// Every address of the machine, IPv6 and IPv4.
    case any(port: UInt16)
    /// One IPv4 address, 4 bytes in network order.
    case ipv4([UInt8], port: UInt16)
    /// One IPv6 address, 16 bytes in network order.
    case ipv6([UInt8], port: UInt16)
    /// A socket in the file system.
    case unix(path: String)
    /// A socket that is bound already and was handed over by the parent process.
    case descriptor(Int32)

    /// Why a word is no address; the text is the sentence for the operator.
    struct Failure: Error, Sendable {
        /// What is wrong, as it follows the quoted word.
        let sentence: String
    }

    /// The forms, for messages.
    static let forms = "8080, *:8080, 127.0.0.1:8080, [::1]:8080, unix:/path or fd:3"

    /// Reads what `listen` takes; a relative socket path is seen from `folder`.
    init(_ text: String, relativeTo folder: String = ".") throws(Failure) {
        if let path = Self.rest(of: text, behind: "unix:") {
            self = .unix(path: try Self.socketPath(path, relativeTo: folder))
        } else if let number = Self.rest(of: text, behind: "fd:") {
            self = .descriptor(try Self.descriptor(number))
        } else if let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) {
            let port = try Self.port(String(text[text.utf8.index(after: colon)...]))
            self = try Self.numeric(host: String(text[..<colon]), port: port)
        } else {
            guard text.utf8.first.map({ (0x30...0x39).contains($0) }) == true, !text.utf8.contains(0x2E) else {
                throw Failure(sentence: "is not an address to listen on (\(Self.forms))")
            }
            self = .any(port: try Self.port(text))
        }
    }

    /// The address as `listen` takes it.
    package var description: String {
        switch self {
        case .any(let port): "\(port)"
        case .ipv4(let bytes, let port): "\(Self.text(of: bytes, family: AF_INET)):\(port)"
        case .ipv6(let bytes, let port): "[\(Self.text(of: bytes, family: AF_INET6))]:\(port)"
        case .unix(let path): "unix:\(path)"
        case .descriptor(let number): "fd:\(number)"
        }
    }

    /// The port of a TCP address; nil for the others.
    package var port: UInt16? {
        switch self {
        case .any(let port), .ipv4(_, let port), .ipv6(_, let port): port
        case .unix, .descriptor: nil
        }
    }

    var isUnix: Bool { if case .unix = self { true } else { false } }

    private static func rest(of text: String, behind prefix: String) -> String? {
        guard text.utf8.starts(with: prefix.utf8) else { return nil }
        return String(decoding: text.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    }

    private static func socketPath(_ path: String, relativeTo folder: String) throws(Failure) -> String {
        guard !path.isEmpty else { throw Failure(sentence: "has no path behind \"unix:\"") }
        guard path.utf8.first != UInt8(ascii: "@") else {
            throw Failure(sentence: "is an abstract socket, which any user could take over; give a path")
        }
        let whole = FilePath.joined(folder, path)
        // unix(7): sun_path has 108 bytes, one of them for the NUL at the end.
        guard whole.utf8.count <= 107 else {
            throw Failure(sentence: "is longer than the 107 bytes a socket path may have")
        }
        return whole
    }

    private static func descriptor(_ text: String) throws(Failure) -> Int32 {
        guard let number = decimal(text, most: 65535), number >= 3 else {
            throw Failure(sentence: "does not name a descriptor from 3 to 65535")
        }
        return Int32(number)
    }

    private static func port(_ text: String) throws(Failure) -> UInt16 {
        guard let number = decimal(text, most: 65535) else {
            throw Failure(sentence: "does not end in a port from 0 to 65535")
        }
        return UInt16(number)
    }

    // Int(_:) would also take a sign.
    private static func decimal(_ text: String, most: Int) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 5, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(text), number <= most
        else { return nil }
        return number
    }

    private static func numeric(host: String, port: UInt16) throws(Failure) -> ListenAddress {
        if host == "*" { return .any(port: port) }
        if let bytes = bytes(of: host, family: AF_INET) { return .ipv4(bytes, port: port) }
        let utf8 = Array(host.utf8)
        if utf8.first == UInt8(ascii: "["), utf8.last == UInt8(ascii: "]"), utf8.count > 2 {
            let inside = String(decoding: utf8[1..<(utf8.count - 1)], as: UTF8.self)
            if let bytes = bytes(of: inside, family: AF_INET6) { return .ipv6(bytes, port: port) }
            throw Failure(sentence: "is not an IPv6 address and a port")
        }
        if utf8.contains(UInt8(ascii: ":")) {
            throw Failure(sentence: "is ambiguous: an IPv6 address stands in brackets, [::1]:8080")
        }
        throw Failure(sentence: "is not a numeric address (names are not looked up; known are \(forms))")
    }

    private static func bytes(of text: String, family: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        let result = unsafe bytes.withUnsafeMutableBytes { room in
            unsafe inet_pton(family, text, room.baseAddress)
        }
        return result == 1 ? bytes : nil
    }

    private static func text(of bytes: [UInt8], family: Int32) -> String {
        guard bytes.count == (family == AF_INET ? 4 : 16) else { return "?" }
        var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let result = unsafe bytes.withUnsafeBytes { source in
            unsafe inet_ntop(family, source.baseAddress, &room, socklen_t(room.count))
        }
        guard unsafe result != nil else { return "?" }
        return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
