import CGatewayABI
import GatewayHandler
import Testing

@Suite("the table a module answers with")
struct ModuleTests {
    @Test func `says who it is and which ABI it was compiled against`() {
        let table = Module.export(Everything.self, to: MockHost().table)!.pointee
        #expect(table.struct_size == UInt32(MemoryLayout<gw_handler>.size))
        #expect(table.abi_version == 0x10002)
        #expect(table.min_host_abi == 0x10002, "hold() is of 1.2")
        #expect(String(cString: table.name) == "everything")
        #expect(String(cString: table.version) == "2.1.0")
        #expect(String(cString: table.sdk).contains("Swift"))
        #expect(table.flags == UInt32(GW_HF_SERIAL | GW_HF_MANUAL_PONG | GW_HF_STATELESS))
    }

    @Test func `takes the name of the type where there is no manifest`() {
        let table = Module.export(Echo.self, to: MockHost().table)!.pointee
        #expect(String(cString: table.name) == "echo")
        #expect(table.flags == UInt32(GW_HF_STATELESS))
    }

    @Test func `has NULL for every event the handler does not take`() {
        let table = Module.export(Echo.self, to: MockHost().table)!.pointee
        #expect(table.start != nil && table.stop != nil && table.message != nil && table.close != nil)
        #expect(table.http == nil)
        #expect(table.fragment == nil)
        #expect(table.ping == nil)
        #expect(table.pong == nil)
        #expect(table.drained == nil)
        #expect(table.reconfigure == nil)
        #expect(table.save_self == nil && table.restore_self == nil)
        #expect(table.restore_conn == nil && table.get_extension == nil)
    }

    @Test func `has every event the handler takes`() {
        let table = Module.export(Everything.self, to: MockHost().table)!.pointee
        #expect(table.http != nil)
        #expect(table.fragment != nil)
        #expect(table.ping != nil)
        #expect(table.pong != nil)
        #expect(table.drained != nil)
    }

    @Test func `is not made without a host`() {
        #expect(Module.export(Echo.self, to: nil) == nil)
    }
}
