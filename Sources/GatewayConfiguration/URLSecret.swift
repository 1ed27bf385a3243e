/// Passwords in URLs, which are shown to nobody: neither by messages nor in logs.
package enum URLSecret {
    /// What ends a URL in a file.
    private static let ends: Set<Unicode.Scalar> = [" ", "\t", ";", "{", "}", "\"", "'"]

    /// The text with an asterisk for each character of a secret, so that all others stay where they are.
    package static func hidden(_ text: String) -> String {
        var scalars = Array(text.unicodeScalars)
        for range in ranges(in: scalars) { for index in range { scalars[index] = "*" } }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The text without them, for one URL of which nobody has to tell how long its password is.
    package static func shortened(_ url: String) -> String {
        var scalars = Array(url.unicodeScalars)
        for range in ranges(in: scalars).reversed() { scalars.replaceSubrange(range, with: "***".unicodeScalars) }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The URL without whoever is named in it: who connects makes no other engine of one.
    package static func anonymous(_ url: String) -> String {
        guard let start = url.firstRange(of: "://"), let at = url[start.upperBound...].lastIndex(of: "@") else {
            return url
        }
        return String(url[..<start.upperBound] + url[url.index(after: at)...])
    }

    /// Behind "://" and a user with a colon, up to the last "@"; a token stands alone in front of it.
    private static func ranges(in scalars: [Unicode.Scalar]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var index = 0
        while index + 3 <= scalars.count {
            guard scalars[index] == ":", scalars[index + 1] == "/", scalars[index + 2] == "/" else {
                index += 1
                continue
            }
            let start = index + 3
            let end = scalars[start...].firstIndex { ends.contains($0) } ?? scalars.count
            if let at = scalars[start..<end].lastIndex(of: "@") {
                let secret = scalars[start..<at].firstIndex(of: ":").map { $0 + 1 } ?? start
                if secret < at { ranges.append(secret..<at) }
            }
            index = end
        }
        return ranges
    }
}
