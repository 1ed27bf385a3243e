import Bytes

/// Bytes that decide what is done, one after the other; at their end everything is zero.
struct Input {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: some Collection<UInt8>) { rest = Array(bytes)[...] }

    var isEmpty: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func number(below limit: Int) -> Int { Int(byte()) % limit }

    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    mutating func all() -> [UInt8] { bytes(rest.count) }
}

/// Lengths that say where bytes are cut, over and over.
struct Cuts {
    private let lengths: [Int]
    private var index = 0

    init(_ input: inout Input) {
        lengths = input.bytes(input.number(below: 8)).map { Int($0) + 1 }
    }

    /// How long the next part is; all of it when nothing is cut.
    mutating func next(of count: Int) -> Int {
        if lengths.isEmpty { return count }
        defer { index += 1 }
        return min(count, lengths[index % lengths.count])
    }
}

/// A buffer lives no longer than it is used, and its address does not count as a use.
func copy(_ buffer: borrowing ByteBuffer) -> [UInt8] { Array(buffer.bytes) }
