/// Everything the command line has on one command.
package struct CommandPage: Sendable {
    package let name: String
    /// The command as the overview writes it, without other ways to say it: `reload [HANDLER]`.
    package let form: String
    /// What it does, in a line.
    package let summary: String
    package let help: HelpPage

    /// What follows the name, as in `HANDLER` or `bash|zsh|fish`; empty when nothing does.
    package var operand: String {
        let words = form.dropFirst(name.count).drop { $0 == " " }
        let name = words.filter { !"[]()".contains($0) }.replacing("...", with: "")
        return name.hasPrefix("-") ? "" : name
    }

    /// Every command, in the order in which `gateway --help` has them.
    package static let all: [CommandPage] = overview.items.compactMap { item in
        let form = String(item.form.prefix { $0 != "," })
        let name = String(form.prefix { $0 != " " })
        guard let text = text(of: name) else { return nil }
        return CommandPage(name: name, form: form, summary: item.text, help: HelpPage(text))
    }

    /// What `gateway --help` says.
    package static let overview = HelpPage(Help.text(of: nil))

    private static func text(of name: String) -> String? {
        name == BenchCommand.name ? BenchCommand.help : Command(rawValue: name).map { Help.text(of: $0) }
    }
}
