import Glibc

/// A file with a line `token user` for each token.
struct TokenFile {
    private static let mostBytes = 1 << 20
    let path: String

    /// The user that a token belongs to; nil for an unknown token. Blocks.
    func user(of token: [UInt8]) throws(Unreadable) -> String? {
        var user: String?
        for line in try read().split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 1)
            // All lines are looked at, so that the time it takes tells nothing.
            if words.count == 2, Self.isSame(words[0], token) { user = String(decoding: words[1], as: UTF8.self) }
        }
        return user
    }

    /// Whether they are the same, in a time that does not depend on where they differ.
    private static func isSame(_ one: ArraySlice<UInt8>, _ other: [UInt8]) -> Bool {
        one.count == other.count && zip(one, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private func read() throws(Unreadable) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Unreadable(path: path, code: errno) }
        defer { close(descriptor) }
        var code: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: Self.mostBytes) { buffer, count in
            while count < buffer.count {
                let rest = unsafe UnsafeMutableBufferPointer(rebasing: buffer[count...])
                let more = unsafe Glibc.read(descriptor, rest.baseAddress, rest.count)
                if more < 0 && errno == EINTR { continue }
                if more < 0 { code = errno }
                guard more > 0 else { break }
                count += more
            }
        }
        if code != 0 { throw Unreadable(path: path, code: code) }
        return bytes
    }

    /// The file is not there, or may not be read.
    struct Unreadable: Error, CustomStringConvertible {
        let path: String
        let code: Int32
        var description: String { "\(path): \(unsafe String(cString: strerror(code)))" }
    }
}
