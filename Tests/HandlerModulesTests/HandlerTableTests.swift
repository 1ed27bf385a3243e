import HandlerModules
import Testing

@Suite("A table is read as far as it says, and refused for a reason")
struct HandlerTableTests {
    private func refusal(_ fixture: String) throws -> String {
        let workshop = try Workshop()
        let error = #expect(throws: ModuleError.self) { try workshop.load("fixture_\(fixture)") }
        #expect(error?.stage == .loading)
        #expect(error?.place == "File: \(builtModules)/libfixture_\(fixture).so")
        return error?.reason ?? ""
    }

    static let refusals = [
        ("newer_major", "its module cannot be used: it needs ABI major 2, this gateway speaks 1"),
        ("newer_minor", "its module cannot be used: it needs host ABI 1.3, this gateway offers 1.1"),
        ("tiny_table", "its module cannot be used: its table says struct_size 8, which cannot be"),
        ("huge_table", "its module cannot be used: its table says struct_size 4294967280, which cannot be"),
        ("no_start", "its module cannot be used: its table has no start"),
        ("no_callbacks", "its module cannot be used: its table has none of message, fragment, http"),
        ("nameless", "its module cannot be used: its table has no name"),
        ("bad_name", "its module cannot be used: the name in its table is too long or not UTF-8"),
        ("null_table", "its entry declined: \"the licence file is missing\""),
        ("silent_null", "its entry declined: it gave no reason"),
    ]

    @Test(arguments: refusals)
    func `refuses`(_ fixture: String, _ reason: String) throws {
        #expect(try refusal(fixture) == reason)
    }

    @Test func `takes a table of an older header and reads nothing behind its end`() throws {
        let generation = try Workshop().load("fixture_short_table")
        #expect(generation.callbacks.names == ["start", "message"])
        #expect(generation.callbacks.fragment == nil, "set, but outside struct_size")
    }

    @Test func `copies all that is there`() throws {
        let generation = try Workshop().load("fixture_works")
        #expect(generation.name == "works")
        #expect(generation.version == "2.1.0")
        #expect(generation.sdk == "c")
        #expect(generation.abiVersion == .current)
        #expect(generation.stateFormat == 0x776F_726B73)
        #expect(generation.stateVersion == 7)
        #expect(generation.callbacks.names == ["start", "reconfigure", "stop", "message"])
    }
}
