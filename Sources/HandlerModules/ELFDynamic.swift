/// The dynamic segment: what the loader is asked to do.
struct ELFDynamic {
    static let needed: UInt64 = 1
    static let soname: UInt64 = 14
    static let rpath: UInt64 = 15
    static let runpath: UInt64 = 29
    static let flags: UInt64 = 30

    private static let end: UInt64 = 0
    private static let names: UInt64 = 5
    private static let namesSize: UInt64 = 10
    private static let symbols: UInt64 = 6
    /// Tags whose value is an address the loader follows without looking: hash, names, symbols, relocations, init,
    /// fini, PLT relocations, their arrays, GNU hash, versions.
    private static let addresses: Set<UInt64> = [
        4, 5, 6, 7, 12, 13, 23, 25, 26, 0x6FFF_FEF5, 0x6FFF_FFF0, 0x6FFF_FFFC, 0x6FFF_FFFE,
    ]

    struct Entry {
        let tag: UInt64
        let value: UInt64
    }

    private(set) var entries: [Entry] = []

    init(reading file: borrowing OpenFile, size: Int, segments: ELFSegments) throws(ELFError) {
        let segment = segments.dynamic
        let table = try ELFTable(
            "the dynamic segment", of: file, size: size, at: segment.offset, count: segment.fileSize)
        var at = 0
        while true {
            let entry = Entry(tag: try table.uint64(at), value: try table.uint64(at + 8))
            if entry.tag == Self.end { break }
            if Self.addresses.contains(entry.tag), !segments.isMapped(entry.value) {
                throw .malformed("the dynamic segment points to an address that is not mapped")
            }
            entries.append(entry)
            at += 16
        }
        guard value(of: Self.symbols) != nil else { throw .malformed("the dynamic segment names no symbols") }
    }

    private func value(of tag: UInt64) -> UInt64? {
        entries.first { $0.tag == tag }?.value
    }

    /// The strings that the entries mean.
    func names(_ file: borrowing OpenFile, size: Int, _ segments: ELFSegments) throws(ELFError) -> ELFTable {
        guard let address = value(of: Self.names), let count = value(of: Self.namesSize),
            let offset = segments.offset(of: address)
        else { throw .malformed("the dynamic segment has no strings") }
        return try ELFTable("the dynamic string table", of: file, size: size, at: offset, count: count)
    }
}
