/// Writes the fields of a message: for each a tag of two bytes, a length of four, and so many bytes, all little-endian.
///
/// Whoever reads them skips the tags of a newer writer, and has a default for those that an older one does not write.
struct MessageFieldWriter {
    private(set) var bytes: [UInt8]

    /// - Parameter beginning: what stands before the fields.
    init(_ beginning: [UInt8] = []) { bytes = beginning }

    mutating func put(_ tag: UInt16, _ value: some Collection<UInt8>) {
        append(tag)
        append(UInt32(value.count))
        bytes += value
    }

    mutating func put(_ tag: UInt16, _ text: String) { put(tag, text.utf8) }

    mutating func put(_ tag: UInt16, _ text: String?) { if let text { put(tag, text.utf8) } }

    mutating func put(_ tag: UInt16, _ number: some FixedWidthInteger & UnsignedInteger) {
        put(tag, (0..<MemoryLayout.size(ofValue: number)).map { UInt8(truncatingIfNeeded: number &>> ($0 * 8)) })
    }

    mutating func put(_ tag: UInt16, _ flag: Bool) { put(tag, CollectionOfOne(flag ? 1 : 0)) }

    private mutating func append(_ number: some FixedWidthInteger) {
        for shift in stride(from: 0, to: number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number &>> shift))
        }
    }
}

/// Reads them from bytes that may be anything.
struct MessageFieldReader {
    /// The name of the message, for failures.
    private let message: String
    private var fields: [(tag: UInt16, value: ArraySlice<UInt8>)] = []

    init(_ bytes: ArraySlice<UInt8>, of message: String) throws(SuccessionFailure) {
        self.message = message
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 6 else { throw failure("it ends within the head of a field") }
            let tag = UInt16(truncatingIfNeeded: Self.number(rest.prefix(2)))
            let length = Int(Self.number(rest.dropFirst(2).prefix(4)))
            rest = rest.dropFirst(6)
            guard length <= rest.count else {
                throw failure("field \(tag) is said to have \(length) bytes, of which \(rest.count) are there")
            }
            fields.append((tag, rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
    }

    func failure(_ reason: String) -> SuccessionFailure { .field(message: message, reason: reason) }

    // MARK: Values

    /// The bytes of a field, or of the first of several; nil where there is none.
    func bytes(_ tag: UInt16) -> ArraySlice<UInt8>? { fields.first { $0.tag == tag }?.value }

    /// Those of every field with that tag.
    func all(_ tag: UInt16) -> [ArraySlice<UInt8>] { fields.filter { $0.tag == tag }.map { $0.value } }

    func text(_ tag: UInt16) throws(SuccessionFailure) -> String? {
        guard let bytes = bytes(tag) else { return nil }
        return try text(bytes, tag)
    }

    func texts(_ tag: UInt16) throws(SuccessionFailure) -> [String] {
        var texts: [String] = []
        for bytes in all(tag) { texts.append(try text(bytes, tag)) }
        return texts
    }

    private func text(_ bytes: ArraySlice<UInt8>, _ tag: UInt16) throws(SuccessionFailure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw failure("field \(tag) is not UTF-8") }
        return text
    }

    /// A number that fits; `standard` where there is no such field.
    func number<Number: FixedWidthInteger & UnsignedInteger>(
        _ tag: UInt16, standard: Number = 0
    ) throws(SuccessionFailure) -> Number {
        guard let bytes = bytes(tag) else { return standard }
        guard bytes.count <= 8 else { throw failure("field \(tag) is a number of \(bytes.count) bytes") }
        guard let number = Number(exactly: Self.number(bytes)) else {
            throw failure("field \(tag) is \(Self.number(bytes)), more than \(Number.max)")
        }
        return number
    }

    /// Those of every field with that tag.
    func numbers(_ tag: UInt16) throws(SuccessionFailure) -> [UInt64] {
        var numbers: [UInt64] = []
        for bytes in all(tag) {
            guard bytes.count <= 8 else { throw failure("field \(tag) is a number of \(bytes.count) bytes") }
            numbers.append(Self.number(bytes))
        }
        return numbers
    }

    func flag(_ tag: UInt16) throws(SuccessionFailure) -> Bool {
        let number: UInt8 = try number(tag)
        return number != 0
    }

    /// What a message has to have.
    func demand<Value>(_ value: Value?, _ tag: UInt16) throws(SuccessionFailure) -> Value {
        guard let value else { throw failure("field \(tag) is missing") }
        return value
    }

    /// At most eight bytes as a number.
    static func number(_ bytes: some BidirectionalCollection<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 &<< 8 | UInt64($1) }
    }
}
