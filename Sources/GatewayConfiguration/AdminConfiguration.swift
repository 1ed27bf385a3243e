/// The `admin` line: where metrics and health are asked for, and by whom.
package struct AdminConfiguration: Sendable, Equatable {
    package var address: ListenAddress
    /// The file of the token that has to be shown: an absolute path after loading; nil = none is asked for.
    package var tokenFile: String?
    /// `hosts`: names of this machine that it is asked for by, in lower case, beside those that it knows itself.
    package var hosts: [String] = []
    /// Where the line was written.
    package var origin: SourceLocation

    package init(
        address: ListenAddress, tokenFile: String? = nil, hosts: [String] = [], origin: SourceLocation
    ) {
        (self.address, self.tokenFile, self.hosts, self.origin) = (address, tokenFile, hosts, origin)
    }
}

extension ListenAddress {
    /// Whether only this machine gets there.
    package var isLoopback: Bool {
        switch self {
        case .any, .descriptor: false
        case .ipv4(let bytes, _): bytes.first == 127
        case .ipv6(let bytes, _):
            bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
                // RFC 4291 2.5.5.2: an IPv4 address in one of IPv6.
                || Array(bytes.prefix(12)) == Array(repeating: 0, count: 10) + [0xFF, 0xFF] && bytes[12] == 127
        case .unix: true
        }
    }
}

extension Evaluator {
    mutating func evaluateAdmin(_ entry: Admitted) {
        guard let word = onlyValue(entry) else { return }
        if word.text == "off" {
            if let brace = entry.statement.brace { report.error("\"admin off\" takes no block", at: brace) }
            return
        }
        let address: ListenAddress
        do throws(ListenAddress.Failure) {
            address = try ListenAddress(word.text, relativeTo: absoluteFolder(of: word.range.file))
        } catch {
            report.error("\(Quotation.short(word.text)) \(error.sentence)", at: word.range)
            return
        }
        adminRange = word.range
        var admin = AdminConfiguration(address: address, origin: report.location(of: entry.statement.name.range))
        var saysToken = false
        for inner in admit(entry.statement.block ?? [], in: .admin) {
            if case .special(.tokenFile) = inner.directive.setting {
                saysToken = true
                admin.tokenFile = tokenFile(inner)
            } else if case .special(.adminHosts) = inner.directive.setting {
                admin.hosts = hosts(inner)
            }
        }
        if !saysToken, !address.isLoopback {
            report.error(
                "\"admin\" beyond this machine needs a token", at: word.range,
                notes: [
                    "Metrics tell strangers what is served to whom.",
                    "Write: admin \(word.text) { token_file admin.token; }"
                        + (address.port.map { " or: admin 127.0.0.1:\($0);" } ?? ""),
                ])
        }
        configuration.admin = admin
    }

    private mutating func tokenFile(_ entry: Admitted) -> String? {
        guard let word = onlyValue(entry) else { return nil }
        guard !word.text.isEmpty else {
            reportValue(word, entry)
            return nil
        }
        return absolute(word.text, in: word.range.file)
    }

    private mutating func hosts(_ entry: Admitted) -> [String] {
        let words = entry.statement.arguments
        if words.isEmpty {
            report.error("\"hosts\" needs \(entry.directive.expected)", at: entry.statement.name.range)
        }
        for word in words where !Self.isName(word.text) {
            report.error("\(Quotation.short(word.text)) is not the name of a host, without a port", at: word.range)
        }
        return words.map { $0.text.lowercased() }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
