/// The path of a route: `/echo`, `/rooms/:room`, `/feed/*`, or the two combined as in `/rooms/:room/*`.
///
/// Literal segments are kept as request paths are after normalisation: unreserved characters as themselves,
/// everything else as `%XX` with capital digits. So comparing bytes is all that matching needs.
package struct RoutePattern: Sendable, Hashable, CustomStringConvertible {
    /// What stands between two slashes.
    package enum Segment: Sendable, Hashable {
        /// Exactly these bytes.
        case literal([UInt8])
        /// Any bytes, at least one, under this name.
        case parameter(String)
    }

    /// Which of the three kinds it is; kinds are tried in this order.
    package enum Kind: Int, Sendable {
        /// Only literals: one path and no other.
        case exact
        /// At least one parameter, and a fixed number of segments.
        case parameter
        /// Ends in `/*`: everything below a path.
        case prefix
    }

    /// Why a text is no pattern; the sentence follows the quoted text in a message.
    package struct Failure: Error, Sendable, Equatable {
        /// What is wrong.
        package let sentence: String
    }

    /// The segments before a final `*`; the root has one empty segment.
    package let segments: [Segment]
    /// True when the pattern ends in `/*`.
    package let isPrefix: Bool

    /// More bytes than this no request line could carry.
    static let mostBytes = 1024

    /// Reads a pattern and refuses what no request could ever match.
    package init(_ text: String) throws(Failure) {
        guard text.utf8.first == UInt8(ascii: "/") else { throw Failure(sentence: "does not begin with \"/\"") }
        guard text.utf8.count <= Self.mostBytes else {
            throw Failure(sentence: "is longer than \(Self.mostBytes) bytes")
        }
        var parts = text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        isPrefix = parts.last.map { $0.elementsEqual("*".utf8) } == true
        if isPrefix { parts.removeLast() }
        var segments: [Segment] = []
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1 && !isPrefix
            segments.append(try Self.segment(Array(part), isLast: isLast, among: segments))
        }
        self.segments = segments
    }

    /// Which kind of pattern this is.
    package var kind: Kind {
        if isPrefix { return .prefix }
        return parameterNames.isEmpty ? .exact : .parameter
    }

    /// The names of the parameters, from left to right.
    package var parameterNames: [String] {
        segments.compactMap { segment in
            switch segment {
            case .literal: nil
            case .parameter(let name): name
            }
        }
    }

    /// The pattern in its normal form.
    package var description: String {
        var text = ""
        for segment in segments {
            switch segment {
            case .literal(let bytes): text += "/" + String(decoding: bytes, as: UTF8.self)
            case .parameter(let name): text += "/:" + name
            }
        }
        return isPrefix ? text + "/*" : text
    }

    /// The pattern with every parameter called the same: two routes of one shape could never both be reached.
    package var shape: String {
        var text = ""
        for segment in segments {
            switch segment {
            case .literal(let bytes): text += "/" + String(decoding: bytes, as: UTF8.self)
            case .parameter: text += "/:"
            }
        }
        return isPrefix ? text + "/*" : text
    }

    private static func segment(
        _ bytes: [UInt8], isLast: Bool, among before: [Segment]
    ) throws(Failure) -> Segment {
        if bytes.isEmpty && !isLast { throw Failure(sentence: "has an empty segment (\"//\")") }
        if bytes.contains(UInt8(ascii: "*")) {
            throw Failure(sentence: "has a \"*\" that does not stand alone as the last segment")
        }
        if bytes.first == UInt8(ascii: ":") {
            let name = String(decoding: bytes.dropFirst(), as: UTF8.self)
            guard isIdentifier(name) else {
                throw Failure(sentence: "has a parameter whose name is not letters, digits and \"_\"")
            }
            if before.contains(.parameter(name)) {
                throw Failure(sentence: "has two parameters called \"\(name)\"")
            }
            return .parameter(name)
        }
        let literal = try normalised(bytes)
        // RFC 3986 5.2.4: a request path has lost its dot segments before it is matched.
        if literal == [0x2E] || literal == [0x2E, 0x2E] {
            throw Failure(sentence: "has a segment \".\" or \"..\"")
        }
        return .literal(literal)
    }

    private static func isIdentifier(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    // RFC 3986 2.3: unreserved characters.
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "-._~".utf8.contains(byte)
    }

    // RFC 3986 6.2.2: escapes of unreserved characters are undone, the other ones are written in capitals.
    private static func normalised(_ bytes: [UInt8]) throws(Failure) -> [UInt8] {
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "%") {
                guard index + 1 < bytes.count, let high = digit(bytes[index]), let low = digit(bytes[index + 1])
                else { throw Failure(sentence: "has a \"%\" without two hexadecimal digits") }
                index += 2
                let meant = high << 4 | low
                if meant < 0x20 || meant == 0x7F { throw Failure(sentence: "has an escaped control character") }
                if isUnreserved(meant) { result.append(meant) } else { appendEscape(of: meant, to: &result) }
            } else if byte >= 0x80 {
                appendEscape(of: byte, to: &result)
            } else if isUnreserved(byte) || "!$&'()+,;=:@".utf8.contains(byte) {
                result.append(byte)
            } else if byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") {
                throw Failure(sentence: "has a query or a fragment; a route is a path only")
            } else {
                throw Failure(sentence: "has a character that is not allowed in a path (write it as %XX)")
            }
        }
        return result
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static func appendEscape(of byte: UInt8, to result: inout [UInt8]) {
        let digits = Array("0123456789ABCDEF".utf8)
        result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}
