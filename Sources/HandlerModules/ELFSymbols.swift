/// The dynamic symbol table: what the module exports.
struct ELFSymbols {
    static let entryPrefix = "gw_handler_entry_v"

    private static let sectionType: UInt32 = 11
    private static let entrySize = 24
    private static let uniqueBinding: UInt8 = 10

    /// Symbols of the GNU binding that makes them one for the process.
    private(set) var uniqueCount = 0
    /// Major versions of the ABI for which there is a function others can call.
    private(set) var majors: [Int] = []
    /// Major versions for which there is something else of that name.
    private(set) var misfits: [Int] = []

    init(reading file: borrowing OpenFile, size: Int, sections: ELFSections) throws(ELFError) {
        guard let section = sections.first(ofType: Self.sectionType), section.link < sections.all.count else {
            throw .malformed("it has no dynamic symbols")
        }
        let table = try sections.contents(of: section, file, size: size)
        let names = try sections.contents(of: sections.all[section.link], file, size: size)
        let prefix = Array(Self.entryPrefix.utf8)
        for index in 0..<table.bytes.count / Self.entrySize {
            let at = index * Self.entrySize
            let info = table.bytes[at + 4]
            // Section 0 means: wanted from elsewhere.
            let isDefined = try table.uint16(at + 6) != 0
            if info >> 4 == Self.uniqueBinding, isDefined { uniqueCount += 1 }
            let name = try names.stringBytes(UInt64(try table.uint32(at)))
            guard name.starts(with: prefix), isDefined,
                let major = Int(String(decoding: name.dropFirst(prefix.count), as: UTF8.self))
            else { continue }
            if Self.isCallable(info: info, visibility: table.bytes[at + 5] & 3) {
                majors.append(major)
            } else {
                misfits.append(major)
            }
        }
        majors.sort()
    }

    /// Throws unless the entry of our major version is there.
    func checkEntry() throws(ELFError) {
        if majors.contains(1) { return }
        if misfits.contains(1) { throw .entryNotCallable }
        throw majors.isEmpty ? .noEntry : .otherMajors(majors)
    }

    /// A function, global or weak, neither hidden nor internal.
    private static func isCallable(info: UInt8, visibility: UInt8) -> Bool {
        let type = info & 15
        let binding = info >> 4
        return (type == 2 || type == 10) && (binding == 1 || binding == 2) && (visibility == 0 || visibility == 3)
    }
}
