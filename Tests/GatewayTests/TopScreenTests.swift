import Testing
import gateway

@Suite("gateway top draws what two looks at a gateway tell")
struct TopScreenTests {
    private func status(
        at milliseconds: Int, connections: Int = 3, messages: Int = 0, bytes: Int = 0, buckets: String = "[0,0,0]",
        more: String = ""
    ) throws -> TopReading {
        let traffic = """
            {"opened":\(connections),"closed":0,"messages_in":\(messages),"messages_out":\(messages * 2),
            "bytes_in":\(bytes),"bytes_out":\(bytes),
            "callbacks":{"bounds_seconds":[1e-05,0.001],"counts":\(buckets)}}
            """
        let text = """
            {"format":1,"process":{"pid":7,"version":"1.0","state":"serving","uptime_ms":\(milliseconds),"connections":3,
            "max_connections":100,"configuration":"g.conf","loop_lag":{"bounds_seconds":[0.001],"counts":[5,0]},
            "usage":{"cpu_ms":\(milliseconds / 4),"resident_bytes":2097152},
            "configuration_reload":{"at":"2026-01-02T00:00:00Z","accepted":false,"outcome":"the file is wrong"}},
            "routes":[
            {"route":"/echo","host":null,"handler":"echo","state":"serving","connections":\(connections),"traffic":\(traffic)},
            {"route":"/a","host":"x.test","handler":"dead","state":"unavailable","connections":9,"traffic":null}],
            "handlers":[{"handler":"echo","generations":[
            {"generation":4,"state":"live","connections":2,"errors":0,"stalls":0},
            {"generation":3,"state":"retiring","connections":1,"errors":2,"stalls":1},
            {"generation":2,"state":"ended","connections":0,"errors":9,"stalls":9}],
            "last_reload":{"at":"2026-01-03T00:00:00Z","accepted":true,"outcome":"2 moved"}}]\(more)}
            """
        return try #require(TopReading(json: text.utf8))
    }

    private func words(_ lines: [String]) -> [[Substring]] { lines.map { $0.split(separator: " ") } }

    @Test func `rates are what came between, a second`() throws {
        let before = try status(at: 10_000, connections: 1, messages: 100, bytes: 1000)
        let now = try status(at: 12_000, connections: 5, messages: 2100, bytes: 5096, buckets: "[98,1,1]")
        var screen = TopScreen(colour: false)
        let lines = screen.lines(now, since: before, columns: 140, rows: 24)
        #expect(lines.count == 24)
        #expect(lines.allSatisfy { ScreenText.width($0) <= 140 })
        #expect(lines[0].hasPrefix("gateway 1.0  serving  up 12s  pid 7  g.conf"))
        #expect(lines[1].hasPrefix("connections 3 of 100   opened 2/s   closed 0/s   cpu 25 %   memory 2M"))
        #expect(
            lines[2].hasPrefix(
                "messages in 1k/s out 2k/s   bytes in 2K/s out 2K/s   callbacks p50 10us p99 1ms   loop lag p99 -"))
        let rows = words(lines)
        #expect(rows.contains(["/echo", "echo", "4", "5", "1k", "2k", "10us", "1ms", "2", "0", "2K", "2K"]))
        #expect(rows.contains(["x.test/a", "dead", "down", "9", "0", "0", "-", "-", "0", "0", "0", "0"]))
        #expect(rows.contains(["echo", "3:", "retiring,", "1", "connections,", "2", "errors,", "1", "stalls"]))
        #expect(!rows.contains { $0.starts(with: ["echo", "2:"]) })
        let reloads = try #require(lines.firstIndex { $0.hasPrefix("LAST RELOADS") })
        #expect(lines[reloads + 1].hasPrefix("2026-01-03T00:00:00Z  echo: 2 moved"))
        #expect(lines[reloads + 2].hasPrefix("2026-01-02T00:00:00Z  configuration: refused: the file is wrong"))
        #expect(lines[23].hasPrefix("q quit   s order: as configured"))
    }

    @Test func `before the second look, and over a restart, there are no rates`() throws {
        let now = try status(at: 5000, messages: 77, bytes: 88)
        for before in [nil, try status(at: 90_000, messages: 5000, bytes: 5000)] {
            var screen = TopScreen(colour: false)
            let lines = screen.lines(now, since: before, columns: 100, rows: 20)
            #expect(lines[2].hasPrefix("messages in 0/s out 0/s   bytes in 0/s out 0/s"))
        }
    }

    @Test(arguments: [(200, 60), (80, 24), (40, 10), (20, 5), (1, 1), (8, 0)])
    func `fits into every size`(_ columns: Int, _ rows: Int) throws {
        var screen = TopScreen(colour: false)
        let lines = screen.lines(try status(at: 5000), since: nil, columns: columns, rows: rows)
        #expect(lines.count == rows)
        #expect(lines.allSatisfy { ScreenText.width($0) <= columns })
    }

    @Test func `what has no room is scrolled to, and no further than the end`() throws {
        let now = try status(at: 5000)
        var screen = TopScreen(colour: false)
        let whole = screen.lines(now, since: nil, columns: 80, rows: 40)
        screen.offset = 2
        #expect(screen.lines(now, since: nil, columns: 80, rows: 8)[4] == whole[6])
        screen.offset = 1000
        let last = screen.lines(now, since: nil, columns: 80, rows: 8)
        #expect(last[6].contains("configuration: refused"))
        screen.offset = -5
        #expect(screen.lines(now, since: nil, columns: 80, rows: 8)[4].hasPrefix("ROUTE"))
    }

    @Test func `routes are sorted as asked, round and round`() throws {
        let before = try status(at: 1000)
        let now = try status(at: 2000, connections: 3, messages: 10, bytes: 10)
        var screen = TopScreen(colour: false)
        var firsts: [String] = []
        for _ in 0..<6 {
            let lines = screen.lines(now, since: before, columns: 100, rows: 30)
            firsts.append("\(screen.order.rawValue) \(lines[5].prefix { $0 != " " })")
            screen.order = screen.order.next
        }
        #expect(
            firsts == [
                "as configured /echo", "connections x.test/a", "messages /echo", "bytes /echo", "name /echo",
                "as configured /echo",
            ])
    }

    @Test func `a notice takes the place of the state, and colours are marks around lines`() throws {
        var screen = TopScreen(colour: true)
        screen.notice = "nobody answers"
        let lines = screen.lines(try status(at: 5000), since: nil, columns: 80, rows: 20)
        #expect(lines[0].hasPrefix("\u{1B}[1;31mgateway 1.0") && lines[0].contains("nobody answers"))
    }

    @Test func `a line for each look has its cells below their titles`() throws {
        let before = try status(at: 10_000, connections: 1, messages: 100)
        let line = TopScreen.line(try status(at: 12_000, connections: 5, messages: 2100), since: before)
        #expect(line.split(separator: " ") == ["3", "2", "0", "1k", "2k", "0", "0", "-", "-", "-", "25", "2M"])
        #expect(line.utf8.count == TopScreen.lineTitles.utf8.count)
    }

    @Test(arguments: [
        (0, "0", "0"), (7, "7", "7"), (0.25, "0.3", "0.3"), (9.94, "9.9", "9.9"), (999.4, "999", "999"),
        (999.6, "1k", "1000"), (1000, "1k", "1000"), (1234, "1.2k", "1.2K"), (12_345, "12k", "12K"),
        (1_048_576, "1M", "1M"), (5e12, "5000G", "4.5T"),
    ])
    func `numbers are short`(_ number: Double, _ short: String, _ bytes: String) {
        #expect(TopScreen.short(number) == short)
        #expect(TopScreen.bytes(number) == bytes)
    }

    @Test func `percentiles are the bounds of buckets`() {
        let durations = TopDurations(bounds: [0.000_001, 0.000_5, 0.05, 5], counts: [90, 5, 4, 0.5, 0.5])
        let found = [0.5, 0.9, 0.95, 0.99, 0.999].map { durations.percentile($0) }
        #expect(found == ["1us", "1us", "500us", "50ms", ">5s"])
        #expect(TopDurations().percentile(0.5) == "-")
        #expect(durations.since(durations).percentile(0.5) == "-")
        #expect(durations.since(TopDurations()) == durations)
    }

    @Test(arguments: ["", "[]", "no status", "{}"])
    func `what is no status is not read`(_ text: String) {
        #expect(TopReading(json: text.utf8) == nil)
    }
}
