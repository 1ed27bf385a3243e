/// Writes numbers and texts as bytes, for the pipes between the gateway and its probe process.
///
/// A number is eight bytes, least significant first; a text is its length as a number, then its UTF-8.
struct ProbeRecordWriter {
    private(set) var bytes: [UInt8] = []

    mutating func number(_ number: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number &>> shift))
        }
    }

    mutating func text(_ text: String) {
        number(UInt64(text.utf8.count))
        bytes += text.utf8
    }
}

/// Reads what the writer wrote; nil once the bytes do not suffice, whatever else they are.
struct ProbeRecordReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: some Collection<UInt8>) {
        rest = ArraySlice(bytes)
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func number() -> UInt64? {
        guard rest.count >= 8 else { return nil }
        defer { rest = rest.dropFirst(8) }
        return rest.prefix(8).reversed().reduce(0) { $0 &<< 8 | UInt64($1) }
    }

    mutating func text() -> String? {
        guard let number = number(), let count = Int(exactly: number), count <= rest.count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return String(decoding: rest.prefix(count), as: UTF8.self)
    }
}
