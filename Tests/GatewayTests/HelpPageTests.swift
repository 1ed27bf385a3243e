import Testing
import gateway

@Suite("A help text is read as data")
struct HelpPageTests {
    private static let text = """
        examples:
          gateway feed           feeds
          gateway feed --all

        usage: gateway feed [--all]
                            FILE

          --all, -a    everything,
                       also this
          --depth N    how deep
          listen 80 { }

        It feeds `FILE`.
        And more.

        The end.

        """

    @Test func `with its examples and its usage`() {
        let page = HelpPage(Self.text)
        #expect(page.examples.map(\.form) == ["gateway feed", "gateway feed --all"])
        #expect(page.examples.map(\.text) == ["feeds", ""])
        #expect(page.usageLines == ["gateway feed [--all]", "    FILE"])
    }

    @Test func `with what follows them`() {
        let page = HelpPage(Self.text)
        #expect(page.items.map(\.text) == ["everything, also this", "how deep"])
        #expect(
            page.parts.dropFirst(2) == [
                .code("listen 80 { }"), .paragraph("It feeds `FILE`. And more."), .paragraph("The end."),
            ])
    }

    @Test func `and its rows are options`() {
        let options = HelpPage(Self.text).options.map { CommandOption($0) }
        #expect(options.map(\.names) == [["--all", "-a"], ["--depth"]])
        #expect(options.map(\.value) == [nil, "N"])
        #expect(options.map(\.summary) == ["everything, also this", "how deep"])
    }

    @Test(arguments: [
        ("FILE.so", Candidates.files), ("FOLDER", .folders), ("HANDLER", .configured(directive: "handler")),
        ("bash|zsh|fish", .words(["bash", "zsh", "fish"])), ("NAME", .anything), ("ID | --route PATH", .anything),
        ("LANGUAGE", .words(["swift", "c", "cpp", "rust"])),
    ])
    func `whose values are known`(_ name: String, _ candidates: Candidates) {
        #expect(Candidates(name) == candidates)
    }
}
