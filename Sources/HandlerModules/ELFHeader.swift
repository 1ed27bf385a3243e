/// The first 64 bytes of the file, checked.
struct ELFHeader {
    static let size: UInt64 = 64

    /// Number of the machine this process is built for.
    static var ourMachine: Int {
        #if arch(x86_64)
        62
        #elseif arch(arm64)
        183
        #else
        #error("the gateway runs on x86-64 and aarch64")
        #endif
    }

    let segmentsOffset: UInt64
    let segmentCount: Int
    let sectionsOffset: UInt64
    let sectionCount: Int
    /// Which section holds the names of the sections.
    let sectionNames: Int

    init(reading file: borrowing OpenFile, size: Int) throws(ELFError) {
        guard size >= 4 else { throw .notELF }
        let magic = try ELFTable("the header", of: file, size: size, at: 0, count: 4)
        guard magic.bytes == [0x7F, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F")] else { throw .notELF }
        let table = try ELFTable("the header", of: file, size: size, at: 0, count: Self.size)
        guard table.bytes[4] == 2 else { throw .not64Bit }
        guard table.bytes[5] == 1 else { throw .notLittleEndian }
        let machine = Int(try table.uint16(18))
        guard machine == Self.ourMachine else { throw .otherMachine(found: machine, ours: Self.ourMachine) }
        let type = Int(try table.uint16(16))
        guard type == 3 else { throw .otherType(type) }
        guard try table.uint16(54) == ELFSegments.entrySize, try table.uint16(58) == ELFSections.entrySize else {
            throw .malformed("the header gives a wrong size of table entries")
        }
        segmentsOffset = try table.uint64(32)
        segmentCount = Int(try table.uint16(56))
        sectionsOffset = try table.uint64(40)
        sectionCount = Int(try table.uint16(60))
        sectionNames = Int(try table.uint16(62))
        guard segmentCount > 0 else { throw .malformed("it has no segments") }
        guard sectionCount > 0 else { throw .malformed("it has no section table") }
    }
}
