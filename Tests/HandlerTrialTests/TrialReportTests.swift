import Testing

@testable import HandlerTrial

@Suite("What came of a trial can be read by people and programs")
struct TrialReportTests {
    static func report(_ findings: TrialReport.Finding...) -> TrialReport {
        var report = TrialReport(file: "a.so")
        report.findings = findings
        return report
    }

    @Test
    func `only what is wrong fails it`() {
        let others = Self.report(.init("a", .ok), .init("b", .note, "x"), .init("c", .skipped))
        #expect(others.isGood)
        #expect(others.summary == "1 ok, 1 to note, 1 not tried")
        let wrong = Self.report(.init("a", .ok), .init("b", .wrong, "x", advice: "y"))
        #expect(!wrong.isGood)
        #expect(wrong.summary == "1 ok, 1 WRONG")
    }

    @Test
    func `the list is in columns`() {
        let text = Self.report(.init("text", .ok), .init("slow callback", .wrong, "one\ntwo", advice: "do")).text
        #expect(
            text == """
                ok     text
                WRONG  slow callback  one
                                      two
                       do

                a.so: 1 ok, 1 WRONG

                """)
    }

    @Test
    func `the JSON is one line`() {
        #expect(
            Self.report(.init("a \"b\"", .wrong, "c", advice: "d")).json
                == #"{"file":"a.so","passed":false,"findings":[{"title":"a \"b\"","verdict":"wrong","#
                + #""detail":"c","advice":"d"}]}"# + "\n")
    }

    @Test(arguments: [
        ("generation 2 is serving, 16 connections moved in 0.1 ms", " connection", 16),
        ("16 connections moved, 3 refused", " refused", 3), ("nothing", " refused", nil), (" refused", " refused", nil),
    ])
    func `numbers are found before a word`(_ text: String, _ word: String, _ number: Int?) {
        #expect(Trial.number(before: word, in: text) == number)
    }
}
