import CGatewayABI
import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("A table is read as far as it says, and refused for a reason")
struct HandlerTableTests {
    private func refusal(_ fixture: String) throws -> String {
        let workshop = try Workshop()
        let error = #expect(throws: ModuleError.self) { try workshop.load("fixture_\(fixture)") }
        #expect(error?.stage == .loading)
        #expect(error?.place == "File: \(Fixture.folder)/libfixture_\(fixture).so")
        return error?.reason ?? ""
    }

    static let refusals = [
        ("newer_major", "its module cannot be used: it needs ABI major 2, this gateway speaks 1"),
        ("newer_minor", "its module cannot be used: it needs host ABI 1.3, this gateway offers 1.2"),
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

    /// The least that is a table.
    private static func table() -> gw_handler {
        var table = gw_handler()
        table.struct_size = UInt32(MemoryLayout<gw_handler>.size)
        table.abi_version = GW_ABI_MAJOR << 16 | GW_ABI_MINOR
        table.name = UnsafePointer(strdup("table"))
        table.start = { _, _, _ in 0 }
        table.message = { _, _, _, _ in }
        return table
    }

    @Test(arguments: [
        (0x40, 0, "its table has flags 0x40, which this gateway has no name for"),
        (0x8000_0011, 0, "its table has flags 0x80000000, which this gateway has no name for"),
        (0, 7, "its table has a reserved0 that is not 0"),
    ])
    func `refuses what has no meaning yet`(_ flags: UInt32, _ reserved: UInt32, _ reason: String) {
        var table = Self.table()
        (table.flags, table.reserved0) = (flags, reserved)
        let error = #expect(throws: HandlerTableError.self) { try HandlerTable(reading: &table) }
        #expect(error?.description == reason && error?.remedy.isEmpty == false)
    }

    @Test(arguments: [0, 1, GW_HANDLER_MIN_SIZE - 1])
    func `refuses less than a table of 1.0`(_ size: UInt32) {
        var table = Self.table()
        table.struct_size = size
        let error = #expect(throws: HandlerTableError.self) { try HandlerTable(reading: &table) }
        #expect(error == .size(Int(size)))
        #expect(size > 0 || error?.description == "its table says struct_size 0, so it was not set")
    }

    @Test func `takes every flag that has a name`() throws {
        var table = Self.table()
        table.flags = 63
        #expect(throws: Never.self) { try HandlerTable(reading: &table) }
        table.struct_size = GW_HANDLER_MIN_SIZE
        #expect(throws: HandlerTableError.nothingToCall) { try HandlerTable(reading: &table) }
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
