/// A part of an ELF file in memory; every access is checked, so that no file can make the process trap.
struct ELFTable {
    /// Largest part that is read at once: far above any real symbol table.
    static let largest = 1 << 26

    let bytes: [UInt8]
    /// For the error text.
    let name: String

    /// Reads `count` bytes at `offset`; both come from the file and are believed only after this check.
    init(_ name: String, of file: borrowing OpenFile, size: Int, at offset: UInt64, count: UInt64) throws(ELFError) {
        try Self.check(name, offset: offset, count: count, size: size)
        guard count <= UInt64(Self.largest) else { throw .malformed("\(name) has \(count) bytes") }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        let read: Int
        do throws(SystemError) {
            read = try file.read(into: &bytes, at: Int(offset))  // Inside `size`, so it fits an Int.
        } catch {
            throw .unreadable(error)
        }
        guard read == bytes.count else { throw .truncated(name) }
        self.bytes = bytes
        self.name = name
    }

    /// Throws unless the part lies inside the file.
    static func check(_ name: String, offset: UInt64, count: UInt64, size: Int) throws(ELFError) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, end <= UInt64(size) else { throw .truncated(name) }
    }

    /// A little-endian number.
    func number<Number: FixedWidthInteger & UnsignedInteger>(
        _ type: Number.Type, at offset: Int
    ) throws(ELFError) -> Number {
        let width = Number.bitWidth / 8
        guard offset >= 0, offset <= bytes.count - width else { throw .malformed("\(name) ends too early") }
        var number: Number = 0
        for index in 0..<width { number |= Number(bytes[offset + index]) &<< Number(8 * index) }
        return number
    }

    func uint16(_ offset: Int) throws(ELFError) -> UInt16 { try number(UInt16.self, at: offset) }
    func uint32(_ offset: Int) throws(ELFError) -> UInt32 { try number(UInt32.self, at: offset) }
    func uint64(_ offset: Int) throws(ELFError) -> UInt64 { try number(UInt64.self, at: offset) }

    /// The bytes of a NUL-terminated string, without the NUL.
    func stringBytes(_ offset: UInt64) throws(ELFError) -> ArraySlice<UInt8> {
        guard offset < UInt64(bytes.count) else { throw .malformed("a name lies outside \(name)") }
        let tail = bytes[Int(offset)...]
        guard let end = tail.firstIndex(of: 0) else { throw .malformed("a name in \(name) has no end") }
        return tail[..<end]
    }

    /// A NUL-terminated string; what is not UTF-8 in it is repaired.
    func string(_ offset: UInt64) throws(ELFError) -> String {
        String(decoding: try stringBytes(offset), as: UTF8.self)
    }
}
