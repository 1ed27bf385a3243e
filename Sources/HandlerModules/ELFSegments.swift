/// The program header table: what the loader maps.
struct ELFSegments {
    static let entrySize: UInt16 = 56

    private static let loadType: UInt32 = 1
    private static let dynamicType: UInt32 = 2
    private static let programHeaderType: UInt32 = 6

    struct Segment {
        let offset: UInt64
        let address: UInt64
        let fileSize: UInt64
        let memorySize: UInt64
    }

    /// In the order of the file.
    private(set) var loads: [Segment] = []
    let dynamic: Segment

    init(reading file: borrowing OpenFile, size: Int, header: ELFHeader) throws(ELFError) {
        let count = UInt64(header.segmentCount) * UInt64(Self.entrySize)
        let table = try ELFTable(
            "the program header table", of: file, size: size, at: header.segmentsOffset, count: count)
        var dynamic: Segment?
        for index in 0..<header.segmentCount {
            let at = index * Int(Self.entrySize)
            let type = try table.uint32(at)
            guard type == Self.loadType || type == Self.dynamicType else { continue }
            let segment = Segment(
                offset: try table.uint64(at + 8), address: try table.uint64(at + 16),
                fileSize: try table.uint64(at + 32), memorySize: try table.uint64(at + 40))
            try ELFTable.check(
                type == Self.loadType ? "a loaded segment" : "the dynamic segment",
                offset: segment.offset, count: segment.fileSize, size: size)
            guard !segment.address.addingReportingOverflow(segment.memorySize).overflow,
                segment.memorySize >= segment.fileSize
            else { throw .malformed("a segment has an impossible size") }
            if type == Self.loadType { loads.append(segment) } else { dynamic = segment }
        }
        guard !loads.isEmpty else { throw .malformed("it has nothing to load") }
        guard let dynamic else { throw .malformed("it has no dynamic segment") }
        self.dynamic = dynamic
    }

    /// Whether something at this address will be mapped.
    func isMapped(_ address: UInt64) -> Bool {
        loads.contains { address >= $0.address && address - $0.address < $0.memorySize }
    }

    /// Where in the file the bytes of an address lie; nil when they do not come from the file.
    func offset(of address: UInt64) -> UInt64? {
        for segment in loads where address >= segment.address && address - segment.address < segment.fileSize {
            // Cannot overflow: offset + fileSize lies inside the file.
            return segment.offset + (address - segment.address)
        }
        return nil
    }
}
