/// Header fields as HTTP/2 has them: pairs of a name in lower case and a value, not lines (RFC 9113 8.2). What stands for
/// the first line of HTTP/1.1 comes first, under names with a colon.
public struct FieldList: Sendable {
    /// All names and values, one behind the other.
    public private(set) var bytes: [UInt8] = []
    public private(set) var fields: [RequestHead.Field] = []

    public init() {}

    /// The fields of a response begin with its status.
    public init(status: Int) {
        var digits: [UInt8] = []
        digits.append(decimal: status)
        append(":status", digits)
    }

    /// - Parameter name: in lower case.
    public mutating func append(_ name: String, _ value: some Collection<UInt8>) {
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let middle = bytes.count
        bytes.append(contentsOf: value)
        fields.append(RequestHead.Field(name: start..<middle, value: middle..<bytes.count))
    }

    /// - Parameter name: in lower case.
    public mutating func append(_ name: String, _ value: String) { append(name, value.utf8) }

    /// Lines that were checked when they were made.
    public mutating func append(_ headers: ResponseHeaders) {
        var start = 0
        let lines = headers.bytes
        while let colon = lines[start...].firstIndex(of: Octet.colon),
            let end = lines[colon...].firstIndex(of: Octet.carriageReturn)
        {
            let name = bytes.count
            for offset in start..<colon { bytes.append(Octet.lowercased(lines[offset])) }
            let value = bytes.count
            bytes.append(contentsOf: lines[(colon + 2)..<end])
            fields.append(RequestHead.Field(name: name..<value, value: value..<bytes.count))
            start = end + 2
        }
    }

    /// The value of the first field with a name in lower case; nil where there is none.
    public func first(_ name: String) -> ArraySlice<UInt8>? {
        fields.first { bytes[$0.name].elementsEqual(name.utf8) }.map { bytes[$0.value] }
    }
}
