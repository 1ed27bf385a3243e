/// What one proxy says in `Forwarded` of the request it got (RFC 7239 4).
public struct ForwardedElement: Sendable, Equatable {
    /// Who asked it, as it is written; nil if it does not say.
    public private(set) var node: [UInt8]?
    /// By which scheme.
    public private(set) var scheme: [UInt8]?

    /// Reads pairs of names and values; nil if they are anything else.
    public init?(_ element: some Collection<UInt8>) {
        var rest = Array(element)[...]
        var names: [[UInt8]] = []
        while true {
            // The grammar has no spaces here, some proxies do.
            rest = rest.drop(while: Octet.isWhitespace)
            // RFC 7239 4: pairs may be missing between semicolons.
            guard let separator = rest.firstIndex(where: { $0 == Octet.semicolon || $0 == Self.equals }) else {
                guard rest.isEmpty else { return nil }
                return
            }
            if rest[separator] == Octet.semicolon {
                guard separator == rest.startIndex else { return nil }
                rest.removeFirst()
                continue
            }
            let name = rest[..<separator].map(Octet.lowercased)
            // "Each parameter MUST NOT occur more than once per field-value."
            guard !name.isEmpty, name.allSatisfy(Octet.isToken), !names.contains(name) else { return nil }
            names.append(name)
            rest = rest[(separator + 1)...]
            guard let value = Self.value(&rest) else { return nil }
            if name.elementsEqual("for".utf8) { node = value }
            if name.elementsEqual("proto".utf8) { scheme = value.map(Octet.lowercased) }
            rest = rest.drop(while: Octet.isWhitespace)
            guard rest.isEmpty || rest.first == Octet.semicolon else { return nil }
        }
    }

    private static let equals = UInt8(ascii: "=")

    /// A token, or what stands in quotes.
    private static func value(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.first == Octet.quote else {
            let token = rest.prefix(while: Octet.isToken)
            rest = rest[token.endIndex...]
            return token.isEmpty ? nil : Array(token)
        }
        rest.removeFirst()
        var value: [UInt8] = []
        while let byte = rest.popFirst() {
            if byte == Octet.quote { return value }
            // RFC 9110 5.6.4: a backslash takes the next byte with it.
            guard byte == 0x5C else {
                value.append(byte)
                continue
            }
            guard let next = rest.popFirst() else { return nil }
            value.append(next)
        }
        return nil
    }
}
