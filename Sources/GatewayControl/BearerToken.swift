import COpenSSL
import Glibc

/// What a client of the admin listener has to know (RFC 6750 2.1): the content of a file.
package struct BearerToken: Sendable, Equatable {
    /// Why a file is not taken; the text is a sentence that names it.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    private static let longest = 4096

    let bytes: [UInt8]
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// - Parameter text: without a line end behind it.
    package init(_ text: String) { bytes = Array(text.utf8) }

    /// The content of a file that only its owner reads.
    package init(file path: String) throws(Failure) {
        let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard number >= 0 else { throw Failure(description: "\(path) cannot be read: \(Self.reason(errno))") }
        defer { _ = close(number) }
        var facts = stat()
        guard unsafe fstat(number, &facts) == 0 else {
            throw Failure(description: "\(path) cannot be read: \(Self.reason(errno))")
        }
        guard facts.st_mode & S_IFMT == S_IFREG else { throw Failure(description: "\(path) is not a file") }
        // Whoever can read the token can use it, and whoever can write the file can choose it.
        guard facts.st_mode & 0o077 == 0 else {
            let mode = String(facts.st_mode & 0o777, radix: 8)
            throw Failure(description: "\(path) has mode 0\(mode), so others can use it: chmod 600 \(path)")
        }
        var content = [UInt8](repeating: 0, count: Self.longest + 1)
        let count = unsafe content.withUnsafeMutableBytes { unsafe read(number, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw Failure(description: "\(path) cannot be read: \(Self.reason(errno))") }
        content.removeLast(content.count - count)
        while let last = content.last, [0x0A, 0x0D, 0x20, 0x09].contains(last) { content.removeLast() }
        guard content.count <= Self.longest else {
            throw Failure(description: "\(path) is longer than the \(Self.longest) bytes a token may have")
        }
        guard !content.isEmpty else {
            throw Failure(description: "\(path) is empty: openssl rand -base64 32 > \(path)")
        }
        guard content.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Failure(description: "\(path) does not hold one word of ASCII, which a token is")
        }
        bytes = content
    }

    private static func reason(_ code: Int32) -> String {
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }

    /// Whether the value of an Authorization header shows it. How long that takes does not tell how much of it was right.
    package func isShown(by authorization: ArraySlice<UInt8>) -> Bool {
        let scheme = "bearer "
        guard authorization.count > scheme.utf8.count,
            zip(authorization, scheme.utf8).allSatisfy({ $0 | 0x20 == $1 })
        else { return false }
        let shown = Array(authorization.dropFirst(scheme.utf8.count).drop { $0 == 0x20 })
        guard shown.count == bytes.count else { return false }
        return unsafe CRYPTO_memcmp(shown, bytes, bytes.count) == 0
    }
}
