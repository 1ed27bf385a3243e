import Bytes

/// What a handler has saved of a connection, as it lies in a blob.
///
///     [ version ][ format ][ generation ][ bytes ]
enum LedgerCheckpoint {
    static let header = 24

    /// What a state says of itself.
    struct Header {
        let version: UInt32
        let format: UInt64
        let generation: UInt64
    }

    static func write(
        _ words: Header, _ state: UnsafeRawBufferPointer, to memory: borrowing SharedMemory, at offset: Int
    ) {
        memory.store(UInt64(words.version), at: offset)
        memory.store(words.format, at: offset + 8)
        memory.store(words.generation, at: offset + 16)
        unsafe memory.write(state, at: offset + header)
    }

    /// - Parameter bytes: of a blob.
    static func record(_ bytes: [UInt8]) -> StateRecord {
        func word(_ index: Int) -> UInt64 {
            bytes[index * 8..<index * 8 + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return StateRecord(
            version: UInt32(truncatingIfNeeded: word(0)), format: word(1), generation: word(2),
            data: Array(bytes[header...]), isCheckpoint: true)
    }
}
