import GatewayConfiguration
import Testing

@Suite("The manual of gateway.conf says what holds")
struct DirectiveManualTests {
    private static let entries = DirectiveManual.sections.flatMap(\.entries)

    @Test func `every directive has a meaning and a block that it stands in`() {
        for entry in Self.entries {
            #expect(!entry.text.isEmpty, "Directive+Meaning.swift has nothing on \(entry.name)")
            #expect(entry.facts.contains("Stands "))
        }
        #expect(!DirectiveManual.sections.contains { $0.title == "Other blocks" || $0.entries.isEmpty })
    }

    @Test func `the defaults are those in effect`() {
        var seen = 0
        for line in Configuration(file: "x").effectiveText().split(separator: "\n") where line.hasSuffix("# default") {
            let words = line.prefix { $0 != ";" }.drop { $0 == " " }.split(separator: " ", maxSplits: 1)
            // Two that depend on another line, and one whose path is that of a block here.
            if ["console", "max_frame", "plugins"].contains(words[0]) { continue }
            let facts = Self.entries.filter { $0.name == words[0] }.map(\.facts)
            #expect(facts.contains { $0.contains("Default: \(words[1]).") }, "\(line): \(facts)")
            seen += 1
        }
        #expect(seen > 30)
    }

    @Test(arguments: [
        (
            "max_message",
            "Takes a size such as 512, 64k or 1m, from 1 to 1g. Default: 1m. Stands in \"defaults\" or in a route."
        ),
        ("max_frame", "Default: as `max_message`."), ("ping_interval", "from 1ms to 1d. Default: 30s."),
        ("route", "Has a block. May be repeated."), ("deny", "Default: none."),
    ])
    func `with the numbers of the table`(_ name: String, _ sentence: String) {
        #expect(Self.entries.contains { $0.name == name && $0.facts.contains(sentence) })
    }
}
