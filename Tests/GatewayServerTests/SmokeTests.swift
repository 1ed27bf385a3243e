import TestSupport
import Testing
@Suite struct SmokeTests {
    @Test func echoes() throws {
        let gateway = try TestGateway()
        let client = try gateway.connect()
        try client.send("hello")
        #expect(try client.receive() == .text("hello"))
        try client.sendClose(1000, "done")
        #expect(try client.receive() == .close(1000, "done"))
        #expect(try gateway.record(until: "close").endings == ["1 close 1000 by 1 reason done sends -1"])
    }
}
