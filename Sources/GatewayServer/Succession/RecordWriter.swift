/// Which field of a record it is; once given a number means the same for ever.
protocol RecordTag: RawRepresentable where RawValue == UInt16 {}

/// What records are made of.
protocol RecordValue {
    /// - Throws: when what is there is no such value. What is not there is as in a value that nobody has changed.
    init(from reader: inout RecordReader) throws(RecordError)
    func encode(into writer: inout RecordWriter)
}

/// Writes what another process is to know, which may run an older or a newer program: fields that say what they are and
/// how long, in any order.
///
///     [ version ][ least version that a reader has to know ]   and then   [ tag ][ length ][ bytes ] ...
///        2 bytes                      2                                      2       4
///
/// Numbers are little-endian. What is nothing (0, no, empty) is left out: a reader takes it for that.
struct RecordWriter {
    /// Of a field, in bytes.
    static let longest = Int(UInt32.max)

    private(set) var bytes: [UInt8] = []

    /// - Parameter least: older readers would misunderstand it.
    init(version: UInt16, least: UInt16) {
        append(version)
        append(least)
    }

    private mutating func append(_ number: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// - Parameter body: appends the bytes of the field.
    private mutating func field(_ tag: some RecordTag, _ body: (inout RecordWriter) -> Void) {
        append(tag.rawValue)
        let place = bytes.count
        append(UInt32(0))
        body(&self)
        let length = bytes.count - place - 4
        precondition(length <= Self.longest, "a field of \(length) bytes is none of a record")
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: length >> (index * 8)) }
    }

    mutating func write(_ tag: some RecordTag, _ number: some FixedWidthInteger & UnsignedInteger) {
        if number != 0 { field(tag) { $0.append(number) } }
    }

    /// 0 is another thing than nothing.
    mutating func write(_ tag: some RecordTag, ifAny number: (some FixedWidthInteger & UnsignedInteger)?) {
        if let number { field(tag) { $0.append(number) } }
    }

    mutating func write(_ tag: some RecordTag, _ flag: Bool) { write(tag, UInt8(flag ? 1 : 0)) }

    mutating func write(_ tag: some RecordTag, _ text: String) { write(tag, ifAny: text.isEmpty ? nil : text) }

    /// An empty text is another thing than none.
    mutating func write(_ tag: some RecordTag, ifAny text: String?) {
        if let text { field(tag) { $0.bytes.append(contentsOf: text.utf8) } }
    }

    mutating func write(_ tag: some RecordTag, _ bytes: [UInt8]) { write(tag, ifAny: bytes.isEmpty ? nil : bytes) }

    /// No bytes are another thing than nothing.
    mutating func write(_ tag: some RecordTag, ifAny bytes: [UInt8]?) {
        if let bytes { field(tag) { $0.bytes.append(contentsOf: bytes) } }
    }

    mutating func write(_ tag: some RecordTag, _ value: (some RecordValue)?) {
        if let value { field(tag) { value.encode(into: &$0) } }
    }

    /// Each is a field with the same tag, in their order.
    mutating func write(_ tag: some RecordTag, each values: [some RecordValue]) {
        for value in values { field(tag) { value.encode(into: &$0) } }
    }
}
