/// What is wrong with a record, and where.
struct RecordError: Error, Equatable, CustomStringConvertible {
    enum Reason: Equatable {
        /// A field, or the record itself, goes on behind the end.
        case isCutOff
        /// Its writer says that so old a reader would misunderstand it.
        case isTooNew(least: UInt16)
        case isNoNumber
        case isOutOfRange
        case isNoText
        case isTooLong
        /// More of a kind than anybody has.
        case areTooMany
        /// What it says does not go together.
        case isContradiction(String)
    }

    let reason: Reason
    /// Bytes of the record in front of it.
    let offset: Int
    /// Of the field; nil where it is about none.
    var tag: UInt16?

    var description: String {
        let place = tag.map { "byte \(offset), field \($0)" } ?? "byte \(offset)"
        return "\(place): \(sentence)"
    }

    private var sentence: String {
        switch reason {
        case .isCutOff: "it goes on behind the end of the record"
        case .isTooNew(let least): "it is for programs that know version \(least) of records"
        case .isNoNumber: "it is no number"
        case .isOutOfRange: "the number means nothing"
        case .isNoText: "it is not UTF-8"
        case .isTooLong: "it is too long"
        case .areTooMany: "there are too many of it"
        case .isContradiction(let what): what
        }
    }
}

/// Reads what a `RecordWriter` has written, be it of another version, without believing any of it.
///
/// Fields that the reader does not know are for its caller to skip.
struct RecordReader {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    /// - Parameter known: the latest version that the program knows.
    init(_ bytes: [UInt8], knows known: UInt16) throws(RecordError) {
        guard bytes.count >= 4 else { throw RecordError(reason: .isCutOff, offset: bytes.count) }
        let least = UInt16(bytes[2]) | UInt16(bytes[3]) << 8
        guard least <= known else { throw RecordError(reason: .isTooNew(least: least), offset: 2) }
        self.init(bytes[4...])
    }

    fileprivate init(_ fields: ArraySlice<UInt8>) {
        bytes = fields
        position = fields.startIndex
    }

    /// The next field; nil at the end.
    mutating func next() throws(RecordError) -> RecordField? {
        if position == bytes.endIndex { return nil }
        guard bytes.endIndex - position >= 6 else { throw RecordError(reason: .isCutOff, offset: position) }
        let tag = UInt16(truncatingIfNeeded: number(at: position, bytes: 2))
        let length = Int(number(at: position + 2, bytes: 4))
        let start = position + 6
        guard length <= bytes.endIndex - start else {
            throw RecordError(reason: .isCutOff, offset: position, tag: tag)
        }
        position = start + length
        return RecordField(tag: tag, bytes: bytes[start..<position])
    }

    private func number(at place: Int, bytes count: Int) -> UInt64 {
        bytes[place..<place + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// What is read does not go together.
    func contradiction(_ what: String) -> RecordError {
        RecordError(reason: .isContradiction(what), offset: position)
    }
}

/// A field of a record.
struct RecordField {
    let tag: UInt16
    /// In the record: their indices are the offsets there.
    let bytes: ArraySlice<UInt8>

    func error(_ reason: RecordError.Reason) -> RecordError {
        RecordError(reason: reason, offset: bytes.startIndex, tag: tag)
    }

    /// A number that was written with any width.
    func number<Number: FixedWidthInteger & UnsignedInteger>() throws(RecordError) -> Number {
        guard (1...8).contains(bytes.count) else { throw error(.isNoNumber) }
        let number = bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        guard let exact = Number(exactly: number) else { throw error(.isOutOfRange) }
        return exact
    }

    /// A number of something that is in memory.
    func count() throws(RecordError) -> Int {
        guard let exact = Int(exactly: try number() as UInt64) else { throw error(.isOutOfRange) }
        return exact
    }

    func flag() throws(RecordError) -> Bool { try number() as UInt64 != 0 }

    /// One of the cases of a type.
    func choice<Choice: RawRepresentable>() throws(RecordError) -> Choice
    where Choice.RawValue: FixedWidthInteger & UnsignedInteger {
        guard let choice = Choice(rawValue: try number()) else { throw error(.isOutOfRange) }
        return choice
    }

    func text(atMost most: Int = 1 << 20) throws(RecordError) -> String {
        guard bytes.count <= most else { throw error(.isTooLong) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw error(.isNoText) }
        return text
    }

    func bytes(atMost most: Int = RecordWriter.longest) throws(RecordError) -> [UInt8] {
        guard bytes.count <= most else { throw error(.isTooLong) }
        return Array(bytes)
    }

    func value<Value: RecordValue>() throws(RecordError) -> Value {
        var reader = RecordReader(bytes)
        return try Value(from: &reader)
    }

    /// Appends a value to others of its tag.
    func append<Value: RecordValue>(to values: inout [Value], atMost most: Int) throws(RecordError) {
        guard values.count < most else { throw error(.areTooMany) }
        values.append(try value())
    }
}
