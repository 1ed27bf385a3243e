/// Which pages may open a WebSocket: what `origin` says.
///
/// A browser lets any page connect to anywhere and sends the cookies along; `Origin` is all that tells one page from
/// another (RFC 6455 10.2). Programs send what they like, so this keeps out pages, not people.
package struct OriginPolicy: Sendable, Equatable, CustomStringConvertible {
    /// One origin of a list.
    package struct Entry: Sendable, Equatable, CustomStringConvertible {
        package let origin: WebOrigin
        /// `*.` stands in front of the host: one or more labels.
        package let isWildcard: Bool

        package var description: String {
            guard isWildcard else { return origin.description }
            let scheme = "\(origin.scheme)://"
            return scheme + "*." + String(decoding: origin.description.utf8.dropFirst(scheme.utf8.count), as: UTF8.self)
        }

        func covers(_ other: WebOrigin) -> Bool {
            guard other.scheme == origin.scheme, other.port == origin.port else { return false }
            guard isWildcard else { return other.host == origin.host }
            return other.host.utf8.count > origin.host.utf8.count + 1 && other.host.hasSuffix("." + origin.host)
        }
    }

    /// `any`: nothing is looked at.
    package private(set) var allowsAny = false
    /// `same-host`: pages of the host and port that the request is for.
    package private(set) var allowsSameHost = true
    package private(set) var entries: [Entry] = []
    /// `required`: a request without `Origin` is refused too.
    package private(set) var isRequired = false

    /// The default.
    package init() {}

    /// Why a word says nothing about origins.
    package struct Failure: Error, Sendable {
        /// The place of the word.
        let word: Int
        /// What is wrong, as it follows the quoted word.
        let sentence: String
        var notes: [String] = []
    }

    /// Reads what stands behind `origin`.
    package init(_ words: [String]) throws(Failure) {
        allowsSameHost = false
        for (index, word) in words.enumerated() {
            switch word {
            case "any": allowsAny = true
            case "same-host": allowsSameHost = true
            case "required": isRequired = true
            default: entries.append(try Self.entry(word, at: index))
            }
        }
        if allowsAny, allowsSameHost || !entries.isEmpty {
            throw Failure(word: words.firstIndex(of: "any") ?? 0, sentence: "allows whatever else is listed")
        }
        // `required` alone is about the default.
        if !allowsAny, entries.isEmpty { allowsSameHost = true }
    }

    private static func entry(_ word: String, at index: Int) throws(Failure) -> Entry {
        if word == "null" {
            throw Failure(
                word: index, sentence: "cannot be allowed",
                notes: ["Any page can have the origin null: a frame with \"sandbox\" is enough."])
        }
        let parts = word.split(separator: "://*.", maxSplits: 1, omittingEmptySubsequences: false)
        let plain = parts.joined(separator: "://")
        guard let origin = WebOrigin(plain.utf8), parts.count < 2 || !origin.host.hasPrefix("[") else {
            throw Failure(
                word: index, sentence: "is no origin",
                notes: ["An origin is a scheme, a host and perhaps a port, such as https://*.example.com:8443."])
        }
        return Entry(origin: origin, isWildcard: parts.count == 2)
    }

    /// Whether a handshake may go on.
    ///
    /// - Parameters:
    ///   - origins: the `Origin` lines of the request.
    ///   - host: the `Host` of the request, with its port if it has one.
    package func admits(_ origins: [ArraySlice<UInt8>], host: ArraySlice<UInt8>) -> Bool {
        admits(origins.first, isOnly: origins.count == 1, host: host)
    }

    /// The same with the first of the lines, if there is one.
    package func admits(_ line: ArraySlice<UInt8>?, isOnly: Bool, host: ArraySlice<UInt8>) -> Bool {
        guard let line else { return !isRequired }
        if allowsAny { return true }
        // RFC 6454 7.3: a user agent sends no more than one.
        guard isOnly else { return false }
        if allowsSameHost, Self.isSpelledAlike(line, host) { return true }
        guard let origin = WebOrigin(line) else { return false }
        if entries.contains(where: { $0.covers(origin) }) { return true }
        return allowsSameHost && Self.isSame(origin, host)
    }

    private static let schemes = ["http://", "https://"].map { Array($0.utf8) }

    /// What browsers send from a page of the host itself: a scheme and, letter for letter, what stands in `Host`. Nothing
    /// has to be taken apart for that.
    private static func isSpelledAlike(_ line: ArraySlice<UInt8>, _ host: ArraySlice<UInt8>) -> Bool {
        if host.isEmpty { return false }
        for scheme in schemes where line.count == scheme.count + host.count {
            return line.starts(with: scheme) && line.dropFirst(scheme.count) == host
        }
        return false
    }

    private static func isSame(_ origin: WebOrigin, _ host: ArraySlice<UInt8>) -> Bool {
        // A scheme without a port of its own is no page of this host, whatever its host is called.
        guard let standard = WebOrigin.port(ofScheme: origin.scheme) else { return false }
        guard let authority = WebOrigin.authority(host) else { return false }
        return authority.host == origin.host && (authority.port ?? standard) == origin.port
    }

    package var description: String {
        var words: [String] = []
        if allowsAny { words.append("any") }
        if allowsSameHost { words.append("same-host") }
        words += entries.map(\.description)
        if isRequired { words.append("required") }
        return words.joined(separator: " ")
    }
}
