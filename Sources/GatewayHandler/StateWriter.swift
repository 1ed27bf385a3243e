/// Collects the bytes of saved state; numbers are little-endian, counts take eight bytes.
public struct StateWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    /// Appends a value.
    public mutating func write<Value: StateValue>(_ value: Value) {
        value.encode(into: &self)
    }

    /// Appends bytes as they are, without their count.
    public mutating func append(_ bytes: some Sequence<UInt8>) {
        self.bytes.append(contentsOf: bytes)
    }

    mutating func append<Number: FixedWidthInteger>(number: Number) {
        var rest = number
        for _ in 0..<(Number.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: rest))
            // In two steps: 8 is the whole width of a byte.
            rest = (rest >> 4) >> 4
        }
    }
}
