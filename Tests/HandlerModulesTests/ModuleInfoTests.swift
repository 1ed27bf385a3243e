import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("What a file says about itself without being run")
struct ModuleInfoTests {
    private let works = Fixture.file("works")

    @Test func `a module, also by way of a link`() throws {
        let folder = TemporaryFolder()
        let link = "\(folder.path)/link.so"
        try #require(symlink(works, link) == 0)
        let facts = try ModuleInfo(path: link)
        #expect(facts.path.hasSuffix("/libfixture_works.so"))
        #expect(facts.size == contents(of: works).count)
        #expect(facts.modifiedAt == ModuleInfo.modified(works))
        #expect(try facts.image.get().needed.contains("libc.so.6"))
    }

    @Test func `its digest is that of all its bytes, whatever their count`() throws {
        let folder = TemporaryFolder()
        for count in [0, 1, 31, 32, 33, 65535, 65536, 65537, 131_072] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let path = folder.write("f\(count)", bytes)
            var digest = ContentDigest()
            digest.update(bytes, count: count)
            let expected = digest.finish(tail: bytes[(count - count % ContentDigest.stripe)...])
            #expect(try ModuleInfo(path: path).digest == expected)
        }
    }

    @Test func `what is no module says why, and who may write to it counts`() throws {
        let folder = TemporaryFolder()
        let facts = try ModuleInfo(path: folder.write("text.so", Array("hello".utf8), mode: 0o666))
        #expect(throws: ELFError.notELF) { try facts.image.get() }
        #expect(facts.objection == "can be written by every user (mode 0666)")
        #expect(try ModuleInfo(path: folder.write("fine.so", [], mode: 0o600)).objection == nil)
    }

    @Test func `what is no file is refused without waiting for it`() throws {
        let folder = TemporaryFolder()
        try #require(mkfifo("\(folder.path)/fifo", 0o600) == 0)
        for path in [folder.path, "\(folder.path)/fifo", "\(folder.path)/missing"] {
            #expect(throws: SystemError.self) { try ModuleInfo(path: path) }
        }
        #expect(ModuleInfo.modified("\(folder.path)/missing") == nil)
    }
}
