/// An option as completions need it: `-c, --connections N` is one of two names and a value.
package struct CommandOption: Sendable, Equatable {
    package let names: [String]
    /// What the value is called; nil when there is none.
    package let value: String?
    package let summary: String

    /// Reads a row of a help text.
    package init(_ item: HelpPage.Item) {
        let forms = item.form.split(separator: ", ").map { $0.split(separator: " ", maxSplits: 1) }
        names = forms.map { String($0[0]) }
        // One value for all names: it stands behind the last one.
        value = forms.compactMap { $0.dropFirst().first }.last.map { String($0.filter { $0 != "'" }) }
        summary = item.text
    }

    init(names: [String], value: String? = nil, summary: String) {
        self.names = names
        self.value = value
        self.summary = summary
    }

    /// Those of a command.
    package static func all(of page: CommandPage) -> [CommandOption] {
        page.help.options.map { CommandOption($0) } + [help]
    }

    /// Those that stand before a command.
    package static let general = CommandPage.overview.options.map { CommandOption($0) }

    private static let help = CommandOption(names: ["-h", "--help"], summary: "print how it is used")
}
