import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("A module is examined without running it, and no file can hurt the examiner")
struct ELFImageTests {
    let folder = TemporaryFolder()
    static let good = contents(of: Fixture.file("works"))

    private func examine(_ bytes: [UInt8]) -> Result<ELFImage, ELFError> {
        examine(path: folder.write("module.so", bytes))
    }

    private func examine(path: String) -> Result<ELFImage, ELFError> {
        do throws(ELFError) {
            return .success(try ELFImage(path: path))
        } catch {
            return .failure(error)
        }
    }

    /// The good module with some bytes replaced.
    private func patched(_ changes: [(at: Int, bytes: [UInt8])]) -> [UInt8] {
        var bytes = Self.good
        for change in changes {
            bytes.replaceSubrange(change.at..<change.at + change.bytes.count, with: change.bytes)
        }
        return bytes
    }

    /// A module with every occurrence of a text replaced by one of the same length.
    private static func renamed(_ bytes: [UInt8], _ old: String, _ new: String) -> [UInt8] {
        let old = Array(old.utf8)
        let new = Array(new.utf8)
        var bytes = bytes
        for at in 0..<bytes.count - old.count
        where bytes[at] == old[0] && bytes[at..<at + old.count].elementsEqual(old) {
            bytes.replaceSubrange(at..<at + old.count, with: new)
        }
        return bytes
    }

    @Test func `gathers the facts of a module in C`() throws {
        let image = try examine(Self.good).get()
        #expect(image.needed.contains("libc.so.6"))
        #expect(image.soname == nil)
        #expect(!image.isSwift && !image.isGo && !image.usesStaticTLS)
        #expect(image.uniqueSymbols == 0)
        #expect(image.privateLibraries == [])
        #expect(image.buildID.utf8.count == 40)
    }

    @Test(arguments: ["echo", "fixture_short_table", "fixture_crash_constructor", "fixture_unresolved"])
    func `takes every module with an entry`(_ name: String) {
        #expect(throws: Never.self) { try examine(path: modulePath(name)).get() }
    }

    @Test func `knows the languages whose images must stay`() throws {
        #expect(try examine(path: modulePath("chat")).get().isSwift)
        #expect(try examine(Self.renamed(Self.good, "libc.so.6", "libswift1")).get().isSwift)
        #expect(try examine(Self.renamed(Self.good, ".comment", "swift5_x")).get().isSwift)
        #expect(try examine(Self.renamed(Self.good, ".eh_frame_hdr", ".go.buildinfo")).get().isGo)
    }

    @Test func `warns of libraries that a reload does not replace`() throws {
        let image = try examine(Self.renamed(Self.good, "libc.so.6", "libmy.so.")).get()
        #expect(image.privateLibraries == ["libmy.so."])
        #expect(
            image.hazards.contains(
                "needs libmy.so., which stays as first loaded when the handler is reloaded: link it statically"))
    }

    struct Case: CustomTestStringConvertible {
        let testDescription: String
        let changes: [(at: Int, bytes: [UInt8])]
        let error: ELFError
        let text: String
    }

    static let cases = [
        Case(
            testDescription: "magic", changes: [(1, [0])], error: .notELF, text: "it is not an ELF file"),
        Case(
            testDescription: "class", changes: [(4, [1])], error: .not64Bit, text: "it is not built for 64 bits"),
        Case(
            testDescription: "byte order", changes: [(5, [2])], error: .notLittleEndian,
            text: "it is not built for a little-endian machine"),
        Case(
            testDescription: "machine", changes: [(18, [0xF3, 0])],
            error: .otherMachine(found: 243, ours: ourMachine),
            text: "it is built for RISC-V, this machine is \(ourMachine == 62 ? "x86-64" : "aarch64")"),
        Case(
            testDescription: "executable", changes: [(16, [2, 0])], error: .otherType(2),
            text: "it is an executable at a fixed address, not a shared library"),
        Case(
            testDescription: "object file", changes: [(16, [1, 0])], error: .otherType(1),
            text: "it is an object file, not a shared library"),
        Case(
            testDescription: "no segments", changes: [(56, [0, 0])], error: .malformed("it has no segments"),
            text: "it is damaged: it has no segments"),
        Case(
            testDescription: "no sections", changes: [(60, [0, 0])], error: .malformed("it has no section table"),
            text: "it is damaged: it has no section table"),
        Case(
            testDescription: "names of sections", changes: [(62, [0xFF, 0xFF])],
            error: .malformed("its sections have no names"), text: "it is damaged: its sections have no names"),
        Case(
            testDescription: "segments at the end of the world",
            changes: [(32, [UInt8](repeating: 0xFF, count: 8))], error: .truncated("the program header table"),
            text: "it is incomplete: the program header table reaches beyond the end of the file"),
        Case(
            testDescription: "sections outside", changes: [(40, [0, 0, 0, 0, 1, 0, 0, 0])],
            error: .truncated("the section table"),
            text: "it is incomplete: the section table reaches beyond the end of the file"),
        Case(
            testDescription: "entry size", changes: [(54, [1, 0])],
            error: .malformed("the header gives a wrong size of table entries"),
            text: "it is damaged: the header gives a wrong size of table entries"),
    ]

    static var ourMachine: Int {
        #if arch(x86_64)
        62
        #else
        183
        #endif
    }

    @Test(arguments: cases)
    func `refuses`(_ example: Case) {
        #expect(examine(patched(example.changes)) == .failure(example.error))
        #expect("\(example.error)" == example.text)
    }

    @Test func `refuses a segment that reaches beyond the file`() {
        // The second program header is a PT_LOAD or whatever: make all of them PT_LOAD with an impossible size.
        let first = Int(Self.good[32])
        let change = (at: first, bytes: [1, 0, 0, 0] as [UInt8])
        let size = (at: first + 32, bytes: [UInt8](repeating: 0xFF, count: 8))
        #expect(examine(patched([change, size])) == .failure(.truncated("a loaded segment")))
    }

    @Test func `refuses every truncation`() {
        let count = Self.good.count
        let cuts = Array(stride(from: 0, to: count, by: 61)) + Array(count - 80..<count)
        let path = folder.write("module.so", Self.good)
        for cut in cuts.sorted(by: >) {
            _ = truncate(path, off_t(cut))
            guard case .failure = examine(path: path) else {
                Issue.record("took a module of \(count) bytes cut to \(cut)")
                return
            }
        }
    }

    @Test func `survives any damage`() {
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            seed ^= seed << 13
            seed ^= seed >> 7
            seed ^= seed << 17
            return Int(seed % UInt64(bound))
        }
        let headers = Int(Self.good[40]) | Int(Self.good[41]) << 8 | Int(Self.good[42]) << 16
        var refused = 0
        for _ in 0..<1500 {
            var bytes = Self.good
            for _ in 0...next(4) {
                // Half of the damage hits the tables, where it matters.
                let at = [next(bytes.count), next(1024), headers + next(bytes.count - headers)][next(3)]
                bytes[at] = [0, 0x7F, 0xFF, UInt8(next(256))][next(4)]
            }
            if case .failure = examine(bytes) { refused += 1 }
        }
        #expect(refused > 100)
    }

    @Test func `says what the entry lacks`() {
        #expect(examine(path: Fixture.file("no_entry")) == .failure(.noEntry))
        #expect(examine(path: Fixture.file("entry_v2")) == .failure(.otherMajors([2])))
        #expect("\(ELFError.otherMajors([2]))" == "it needs ABI major 2, this gateway speaks 1")
        #expect("\(ELFError.noEntry)" == "it does not export gw_handler_entry_v1")
    }

    @Test func `takes real libraries for what they are`() {
        var seen = 0
        for folder in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"] {
            for name in names(in: folder).filter({ $0.contains(".so.") }).prefix(40) {
                let result = examine(path: "\(folder)/\(name)")
                // A symbolic link is not followed.
                if case .failure(.unreadable) = result { continue }
                #expect(result == .failure(.noEntry), "\(name)")
                seen += 1
            }
        }
        if seen == 0 { print("no system libraries found") }
    }
}
