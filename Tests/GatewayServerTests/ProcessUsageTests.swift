import Glibc
import Testing

@testable import GatewayServer

@Suite("ProcessUsage: what the kernel says of the process")
struct ProcessUsageTests {
    @Test func `fields are counted behind the name, whatever is in it`() throws {
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        let text =
            "1234 (a) (b c) S 1 2 3 4 5 6 7 8 9 10 \(Int(ticks)) \(Int(ticks) * 2) 13 14 15 16 17 18 \(Int(ticks) * 5)"
            + " 4096000 25 18446744073709551615 1\n"
        let usage = try #require(ProcessUsage(stat: text, bootedAt: 1000))
        #expect(usage.cpuSeconds == 3 && usage.threads == 17 && usage.startedAt == 1005)
        #expect(usage.virtualBytes == 4_096_000)
        #expect(usage.residentBytes == 25 * UInt64(sysconf(Int32(_SC_PAGESIZE))))
    }

    @Test(arguments: ["", "1 (a", "1 (a) S 1 2 3", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 12 13 14 15 16 17 18 19 20 21 22"])
    func `what is not understood is nothing`(text: String) {
        #expect(ProcessUsage(stat: text, bootedAt: 0) == nil)
    }

    @Test func `of this one it is plausible`() throws {
        let usage = try #require(ProcessUsage())
        #expect(usage.threads >= 1 && usage.cpuSeconds >= 0 && usage.residentBytes > 1 << 20)
        #expect(usage.virtualBytes >= usage.residentBytes)
        let now = Double(time(nil))
        #expect(usage.startedAt > now - 86_400 && usage.startedAt < now + 2)
        let before = usage.openDescriptors
        let number = open("/dev/null", O_RDONLY)
        defer { close(number) }
        #expect(before >= 3 && usage.mostDescriptors.map { $0 >= UInt64(before) } ?? true)
    }
}
