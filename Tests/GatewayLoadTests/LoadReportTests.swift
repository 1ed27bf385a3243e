import GatewayLoad
import Testing

@Suite("The report of a run")
struct LoadReportTests {
    @Test(arguments: [
        (0.0, 0, "0"), (1.5, 0, "2"), (1.26, 1, "1.3"), (0.05, 2, "0.05"), (12.0, 3, "12.000"), (-0.5, 1, "-0.5"),
        (.nan, 1, "0"), (.infinity, 1, "0"), (1e30, 2, "0"),
    ])
    func `numbers have so many digits`(_ number: Double, _ digits: Int, _ text: String) {
        #expect(LoadReport.fixed(number, digits: digits) == text)
    }

    @Test func `a table has a line for each figure`() {
        var report = LoadReport()
        report.add("mode", .text("echo"))
        report.add("messages", .count(3))
        report.add("p50_us", .missing)
        #expect(report.table == "mode      echo\nmessages  3\np50_us    -\n")
        #expect(report.json == "{\"mode\": \"echo\", \"messages\": 3, \"p50_us\": null}\n")
        #expect(report.isGood)
    }

    @Test func `a timeline has a row for each span`() {
        var timeline = Timeline(milliseconds: 10, begin: 1_000)
        timeline.add(5_000, now: 2_000)
        timeline.add(7_000, now: 3_000)
        timeline.add(1_000, now: 20_001_000)
        timeline.add(1_000, now: 999)
        let report = LoadReport(timeline: timeline)
        #expect(report.json == "{\"timeline\": [[0, 2, 7.0], [10, 0, 0.0], [20, 1, 1.0]]}\n")
        #expect(report.table.split(separator: "\n").count == 4)
    }

    @Test func `faults are counted and the first of a kind is told`() {
        var faults = Faults()
        faults.add(.lost, "first")
        faults.add(.lost, times: 4, "second")
        #expect(faults[.lost] == 5 && faults[.refused] == 0)
        #expect(faults.examples == ["first"])
        #expect(!LoadReport(faults: faults).isGood)
    }
}
