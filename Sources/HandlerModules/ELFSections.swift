/// The section header table. Linkers write it last, so where it is whole, the file usually is.
struct ELFSections {
    static let entrySize: UInt16 = 64

    /// Type of a section without bytes in the file, such as .bss.
    private static let noBytes: UInt32 = 8

    struct Section {
        let name: String
        let type: UInt32
        let offset: UInt64
        let size: UInt64
        /// Which other section it belongs to.
        let link: Int
    }

    private(set) var all: [Section] = []

    init(reading file: borrowing OpenFile, size: Int, header: ELFHeader) throws(ELFError) {
        let count = UInt64(header.sectionCount) * UInt64(Self.entrySize)
        let table = try ELFTable(
            "the section table", of: file, size: size, at: header.sectionsOffset, count: count)
        guard header.sectionNames < header.sectionCount else { throw .malformed("its sections have no names") }
        let entrySize = Int(Self.entrySize)
        let namesAt = header.sectionNames * entrySize
        let names = try ELFTable(
            "the names of the sections", of: file, size: size,
            at: try table.uint64(namesAt + 24), count: try table.uint64(namesAt + 32))
        for at in stride(from: 0, to: table.bytes.count, by: entrySize) {
            let section = Section(
                name: try names.string(UInt64(try table.uint32(at))), type: try table.uint32(at + 4),
                offset: try table.uint64(at + 24), size: try table.uint64(at + 32), link: Int(try table.uint32(at + 40))
            )
            if section.type != Self.noBytes {
                try ELFTable.check(
                    "section \(section.name)", offset: section.offset, count: section.size, size: size)
            }
            all.append(section)
        }
    }

    /// The first section of a type.
    func first(ofType type: UInt32) -> Section? {
        all.first { $0.type == type }
    }

    func contents(of section: Section, _ file: borrowing OpenFile, size: Int) throws(ELFError) -> ELFTable {
        guard section.type != Self.noBytes else { throw .malformed("section \(section.name) is empty") }
        return try ELFTable(
            "section \(section.name)", of: file, size: size, at: section.offset, count: section.size)
    }
}
