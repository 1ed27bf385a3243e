import HandlerModules
import Testing

@Suite("OwnProgram: where this program came from")
struct OwnProgramTests {
    @Test(arguments: [
        ("/usr/bin/gateway", "/usr/bin/gateway"), ("/usr/bin/gateway (deleted)", "/usr/bin/gateway"),
        ("/a b/c (deleted) (deleted)", "/a b/c (deleted)"), ("/a (deleted)/b", "/a (deleted)/b"), ("", ""),
    ])
    func `what the kernel says behind the name is no part of it`(_ link: String, _ place: String) {
        #expect(OwnProgram.place(link) == place)
    }

    @Test func `this one lies where it came from`() {
        #expect(OwnProgram.path.hasPrefix("/"))
        #expect(FileFingerprint(path: OwnProgram.path) == FileFingerprint(path: "/proc/self/exe"))
    }
}
