/// Reads values back in the order in which a `StateWriter` took them; what does not fit throws and never traps.
public struct StateReader: Sendable {
    /// The `Handover.version` of the module that saved.
    public let version: UInt32
    /// The process that saved has ended: what it learned afterwards is lost. In a reload nothing is.
    public let isCheckpoint: Bool
    let host: Host?
    private let bytes: [UInt8]
    private var position = 0

    /// Reads `bytes` outside a gateway, for tests of a `StateValue`.
    public init(_ bytes: [UInt8], version: UInt32, isCheckpoint: Bool = false) {
        self.init(bytes, version: version, isCheckpoint: isCheckpoint, host: nil)
    }

    init(_ bytes: [UInt8], version: UInt32, isCheckpoint: Bool, host: Host?) {
        self.bytes = bytes
        self.version = version
        self.isCheckpoint = isCheckpoint
        self.host = host
    }

    /// How many bytes have not been read.
    public var remaining: Int { bytes.count - position }

    /// Reads a value; its type is usually found from where it goes: `next = try reader.read()`.
    public mutating func read<Value: StateValue>(_ type: Value.Type = Value.self) throws -> Value {
        try Value(from: &self)
    }

    /// Reads `count` bytes as they are.
    public mutating func bytes(_ count: Int) throws(StateError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= remaining else { throw .truncated }
        defer { position += count }
        return bytes[position..<(position + count)]
    }

    /// Reads a count of things that take a byte each at least, so that nothing is ever prepared for a false one.
    public mutating func count() throws(StateError) -> Int {
        let claimed = try number(UInt64.self)
        guard let count = Int(exactly: claimed), count <= remaining else { throw .truncated }
        return count
    }

    mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(StateError) -> Number {
        var number: Number = 0
        for byte in try bytes(Number.bitWidth / 8).reversed() {
            number = (number << 4) << 4 | Number(truncatingIfNeeded: byte)
        }
        return number
    }
}
