import Testing
import gateway

@Suite("A page of the manual is written so that nothing is taken for a request")
struct RoffTests {
    private static func page(_ write: (inout Roff) -> Void) -> [Substring] {
        var page = Roff("X", section: 1, source: "x 1", date: "2026-01-01", manual: "Tests")
        write(&page)
        return page.text.split(separator: "\n").dropFirst().map { $0 }
    }

    @Test func `its head says what it is`() {
        let page = Roff("A-B", section: 5, source: "x 1", date: "2026-01-01", manual: "Tests")
        #expect(page.text == ".TH \"A-B\" 5 \"2026-01-01\" \"x 1\" \"Tests\"\n")
    }

    @Test(arguments: [
        (".gateway.sock", "\\&.gateway.sock"), ("'quoted'", "\\(aqquoted\\(aq"), ("a\\n", "a\\en"),
        ("a `--flag` b", "a \\fB\\-\\-flag\\fR b"), ("~/x^2 \"y\"", "\\(ti/x\\(ha2 \\(dqy\\(dq"),
    ])
    func `characters stay what they are`(_ text: String, _ expected: String) {
        #expect(Self.page { $0.paragraph(text) }.last.map { String($0) } == expected)
    }

    @Test func `paragraphs keep their distance, but for the one below a heading`() {
        let lines = Self.page { page in
            page.section("name")
            page.paragraph("one")
            page.paragraph("two")
            page.subsection("more")
            page.code([".x", ""])
            page.item("-a", "all")
            page.more("and on")
        }
        #expect(
            lines == [
                ".SH \"NAME\"", "one", ".PP", "two", ".SS \"more\"", ".RS 4", ".nf", "\\&.x", "\\&", ".fi", ".RE",
                ".TP", ".B \"\\-a\"", "all", ".br", "and on",
            ])
    }

    @Test func `lines are short`() {
        let words = (0..<200).map { "word\($0)" }.joined(separator: " ")
        let lines = Self.page { $0.paragraph(words) }.dropFirst()
        #expect(lines.allSatisfy { $0.count <= 76 })
        #expect(lines.joined(separator: " ") == words)
    }
}
