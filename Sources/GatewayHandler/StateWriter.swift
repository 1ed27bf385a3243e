/// Collects the octets of saved state; numbers are little-endian, counts take eight octets.
public struct StateWriter: Sendable {
    /// What has been written so far.
    public private(set) var octets: [UInt8] = []

    public init() {}

    /// Appends a value.
    public mutating func write<Value: StateValue>(_ value: Value) {
        value.encode(into: &self)
    }

    /// Appends octets as they are, without their count.
    public mutating func append(_ octets: some Sequence<UInt8>) {
        self.octets.append(contentsOf: octets)
    }

    mutating func append<Number: FixedWidthInteger>(number: Number) {
        var rest = number
        for _ in 0..<(Number.bitWidth / 8) {
            octets.append(UInt8(truncatingIfNeeded: rest))
            // In two steps: 8 is the whole width of an octet.
            rest = (rest >> 4) >> 4
        }
    }
}
