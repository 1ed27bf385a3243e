import Glibc

/// What a certificate may be issued for: a host, all hosts one label below a domain, or an address.
package enum CertificateName: Hashable, Sendable, CustomStringConvertible {
    /// In lower case; `*.` in front stands for any one label.
    case host(String)
    /// IPv4 or IPv6, in its shortest form.
    case address(String)

    /// Why something is no such name: the end of a sentence that begins with it.
    package struct Failure: Error, Equatable, Sendable {
        package let reason: String
    }

    package init(_ text: String) throws(Failure) {
        if let address = Self.address(text) {
            self = .address(address)
        } else {
            self = .host(try Self.host(text))
        }
    }

    package var description: String {
        switch self {
        case .host(let name), .address(let name): name
        }
    }

    /// As OpenSSL's configurations write it in subjectAltName.
    var alternative: String {
        switch self {
        case .host(let name): "DNS:\(name)"
        case .address(let address): "IP:\(address)"
        }
    }

    private static func address(_ text: String) -> String? {
        var bytes = [UInt8](repeating: 0, count: 16)
        var room = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        for family in [AF_INET, AF_INET6] where unsafe inet_pton(family, text, &bytes) == 1 {
            guard unsafe inet_ntop(family, bytes, &room, socklen_t(room.count)) != nil else { return nil }
            return String(decoding: room.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
    }

    private static func host(_ text: String) throws(Failure) -> String {
        let name = text.lowercased()
        guard name.utf8.allSatisfy({ $0 < 0x80 }) else {
            throw Failure(reason: "is not ASCII: an international name is written as in DNS, xn--...")
        }
        guard !name.contains(where: { ":/[]@".contains($0) }) else {
            throw Failure(reason: "is no host or address: neither scheme nor port nor brackets belong there")
        }
        var labels = name.split(separator: ".", omittingEmptySubsequences: false)
        if labels.first == "*" {
            // OpenSSL and browsers match none that stands directly below a top-level domain.
            guard labels.count > 2 else {
                throw Failure(reason: "would be matched by no client: `*.` stands before two labels at least")
            }
            labels.removeFirst()
        }
        guard name.utf8.count <= 253, labels.allSatisfy({ isLabel($0) }) else {
            throw Failure(
                reason: "is no host: labels of letters, digits, - and _ are joined by single dots, 63 characters each,"
                    + " 253 in all; `*` may be the first label")
        }
        // Browsers take a host whose last label is a number for an IPv4 address.
        guard let last = labels.last, !last.allSatisfy(\.isNumber) else {
            throw Failure(reason: "looks like an IPv4 address, but is none")
        }
        return name
    }

    private static func isLabel(_ label: Substring) -> Bool {
        let isPlain = label.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
        return isPlain && (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
    }
}
