/// The name of a `host` block: one host, or with `*.` in front all below it.
package struct HostPattern: Sendable, Hashable, CustomStringConvertible {
    /// In the form in which hosts compare, without `*.` and without a dot at the end.
    package let host: String
    /// `*.` stands for one or more labels.
    package let isWildcard: Bool

    /// Why a text names no host; the sentence follows the quoted text in a message.
    struct Failure: Error, Sendable {
        /// What is wrong.
        let sentence: String
    }

    init(_ text: String) throws(Failure) {
        isWildcard = text.utf8.starts(with: "*.".utf8)
        let name = isWildcard ? String(decoding: text.utf8.dropFirst(2), as: UTF8.self) : text
        guard let host = Self.normal(Array(name.utf8)[...]) else {
            if name.utf8.contains(where: { $0 >= 0x80 }) {
                throw Failure(sentence: "is no host as requests name it (write it in its form of ASCII, xn--...)")
            }
            if name.utf8.contains(UInt8(ascii: ":")), WebOrigin.authority(Array(name.utf8)) != nil {
                throw Failure(sentence: "has a port; a host block is for all ports")
            }
            throw Failure(sentence: "is no name of a host, such as api.example.com or *.example.com")
        }
        guard !isWildcard || !host.utf8.starts(with: "[".utf8) else {
            throw Failure(sentence: "is no name of a host: there is nothing below an address")
        }
        self.host = host
    }

    /// The form of a host in which it compares; a dot at its end changes nothing.
    private static func normal(_ bytes: ArraySlice<UInt8>) -> String? {
        WebOrigin.normalHost(bytes.last == UInt8(ascii: ".") ? bytes.dropLast() : bytes)
    }

    /// The form in which the host of a request, without its port, is looked for.
    package static func requested(_ host: ArraySlice<UInt8>) -> String { normal(host) ?? "" }

    /// Whether it is for a host in that form.
    package func covers(_ requested: String) -> Bool {
        guard isWildcard else { return requested == host }
        return requested.utf8.count > host.utf8.count + 1 && requested.hasSuffix("." + host)
    }

    package var description: String { (isWildcard ? "*." : "") + host }
}
