/// What is known about a module without running any of it.
///
/// Loading a file that ends too early kills the process with SIGBUS inside dlopen, so everything the loader will touch
/// is checked to lie inside the file. This finds mistakes, not attacks: a module is trusted code.
package struct ELFImage: Equatable, Sendable {
    package var soname: String?
    /// Libraries it asks the loader for.
    package var needed: [String] = []
    /// Where it asks the loader to look for them.
    package var searchPaths: [String] = []
    /// Hexadecimal; empty when the linker was not asked for one.
    package var buildID = ""
    /// The module has Swift in it, and must never be unloaded.
    package var isSwift = false
    /// The module has the Go runtime in it, and cannot be unloaded.
    package var isGo = false
    /// The module wants a place in the static TLS block, which every generation uses up a bit more.
    package var usesStaticTLS = false
    /// Symbols that are one for the whole process, so that a new generation runs code of the old one.
    package var uniqueSymbols = 0

    /// Reads and checks a file that is not written to any more.
    init(reading file: borrowing OpenFile) throws(ELFError) {
        let size: Int
        do throws(SystemError) {
            size = try file.size()
        } catch {
            throw .unreadable(error)
        }
        let header = try ELFHeader(reading: file, size: size)
        let segments = try ELFSegments(reading: file, size: size, header: header)
        try readDynamic(file, size: size, segments)
        let sections = try ELFSections(reading: file, size: size, header: header)
        try readSections(file, size: size, sections)
        isSwift = isSwift || needed.contains { $0.hasPrefix("libswift") }
    }

    /// Opens and reads a file by its path.
    package init(path: String) throws(ELFError) {
        let file: OpenFile
        do throws(SystemError) {
            file = try OpenFile(reading: path)
        } catch {
            throw .unreadable(error)
        }
        try self.init(reading: file)
    }

    /// Whether a file looks as if its linker were done with it: whatever else is wrong, waiting will not mend it.
    package static func isWhole(_ path: String) -> Bool {
        do throws(ELFError) {
            _ = try ELFImage(path: (try? ModuleLocator.canonical(path)) ?? path)
            return true
        } catch {
            switch error {
            case .truncated, .malformed, .unreadable: return false
            // Some linkers reserve the whole file first and write its beginning last.
            case .notELF: return !beginsWithNothing(path)
            case .not64Bit, .notLittleEndian, .otherMachine, .otherType, .noEntry, .entryNotCallable, .otherMajors:
                return true
            }
        }
    }

    private static func beginsWithNothing(_ path: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 4)
        guard let canonical = try? ModuleLocator.canonical(path), let file = try? OpenFile(reading: canonical) else {
            return true
        }
        guard let count = try? file.read(into: &bytes, at: 0) else { return true }
        return count < bytes.count || bytes.allSatisfy { $0 == 0 }
    }

    /// What a careful author would change, one sentence each.
    package var hazards: [String] {
        var hazards: [String] = []
        if usesStaticTLS {
            hazards.append("uses static TLS, which each generation uses up: build with -fPIC and without initial-exec")
        }
        if uniqueSymbols > 0 {
            hazards.append(
                "has \(uniqueSymbols) process-wide symbols, shared with older generations: build with -fno-gnu-unique")
        }
        if isGo { hazards.append("contains the Go runtime: one more of it runs for each generation") }
        for library in privateLibraries {
            hazards.append(
                "needs \(library), which stays as first loaded when the handler is reloaded: link it statically")
        }
        for path in searchPaths where !path.hasPrefix("/usr/") && !path.hasPrefix("/opt/") {
            hazards.append("looks for libraries in \(path)")
        }
        return hazards
    }

    /// Needed libraries that are not the system's or the language's.
    package var privateLibraries: [String] {
        let known = [
            "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libutil.so", "ld-linux", "libgcc_s.so",
            "libstdc++.so", "libc++", "libswift", "libFoundation", "lib_Foundation", "libdispatch", "libBlocksRuntime",
            "libssl.so", "libcrypto.so", "libz.so", "libasan.so", "libtsan.so",
        ]
        return needed.filter { name in !known.contains { name.hasPrefix($0) } }
    }
}

extension ELFImage {
    private static let staticTLSFlag: UInt64 = 0x10

    private mutating func readDynamic(
        _ file: borrowing OpenFile, size: Int, _ segments: ELFSegments
    ) throws(ELFError) {
        let dynamic = try ELFDynamic(reading: file, size: size, segments: segments)
        let names = try dynamic.names(file, size: size, segments)
        for entry in dynamic.entries {
            switch entry.tag {
            case ELFDynamic.needed: needed.append(try names.string(entry.value))
            case ELFDynamic.soname: soname = try names.string(entry.value)
            case ELFDynamic.rpath, ELFDynamic.runpath:
                searchPaths += try names.string(entry.value).split(separator: ":").map { String($0) }
            case ELFDynamic.flags: usesStaticTLS = usesStaticTLS || entry.value & Self.staticTLSFlag != 0
            default: break  // Numbers of the file, not of ours: most of them matter to the loader alone.
            }
        }
    }

    private mutating func readSections(
        _ file: borrowing OpenFile, size: Int, _ sections: ELFSections
    ) throws(ELFError) {
        for section in sections.all {
            if section.name.hasPrefix("swift5_") { isSwift = true }
            if section.name == ".go.buildinfo" || section.name == ".gopclntab" { isGo = true }
            if section.name == ".note.gnu.build-id" {
                buildID = try Self.buildID(in: sections.contents(of: section, file, size: size))
            }
        }
        let symbols = try ELFSymbols(reading: file, size: size, sections: sections)
        uniqueSymbols = symbols.uniqueCount
        try symbols.checkEntry()
    }

    /// The description of the first note: three sizes, the name "GNU\0", then the bytes.
    private static func buildID(in note: ELFTable) throws(ELFError) -> String {
        let nameSize = try note.uint32(0)
        let count = Int(try note.uint32(4))
        guard nameSize == 4, count <= 64, note.bytes.count >= 16 + count else { return "" }
        return note.bytes[16..<16 + count].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
