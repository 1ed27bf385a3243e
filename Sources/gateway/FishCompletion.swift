/// Completion for fish.
enum FishCompletion {
    static var text: String {
        """
        # Completion of gateway for fish, as `gateway completion fish` prints it.

        # The names that the configuration of this line has behind a directive.
        function __gateway_configured
            set -l words (commandline -opc)
            set -l file
            if set -l place (contains -i -- -c $words)
                set file -c $words[(math $place + 1)]
            end
            gateway -T $file 2>/dev/null | \(Shell.listing.replacing("$1", with: "$argv[1]"))
        end

        function __gateway_needs_command
            not __fish_seen_subcommand_from \(CommandPage.all.map(\.name).joined(separator: " "))
        end

        complete -c gateway -f
        \(rows.joined(separator: "\n"))

        """
    }

    private static var rows: [String] {
        let needed = "-n __gateway_needs_command"
        var rows = CommandOption.general.map { row($0, needed) }
        for page in CommandPage.all {
            let seen = "-n '__fish_seen_subcommand_from \(page.name)'"
            rows.append("complete -c gateway \(needed) -a \(page.name) -d \(quoted(page.summary))")
            if !page.operand.isEmpty, let operand = operand(Candidates(page.operand)) {
                rows.append("complete -c gateway \(seen) \(operand)")
            }
            rows += CommandOption.all(of: page).map { row($0, seen) }
        }
        return rows
    }

    private static func row(_ option: CommandOption, _ condition: String) -> String {
        let names = option.names.map { name in
            if name.hasPrefix("--") { return "-l \(name.dropFirst(2))" }
            return (name.count == 2 ? "-s " : "-o ") + name.dropFirst()
        }
        let value = option.value.map { " " + argument(Candidates($0)) } ?? ""
        return "complete -c gateway \(condition) \(names.joined(separator: " "))\(value) -d \(quoted(option.summary))"
    }

    /// What an option takes.
    private static func argument(_ candidates: Candidates) -> String {
        switch candidates {
        case .files, .folders: "-r -F"
        case .anything: "-x"
        case .words, .configured: "-x " + (operand(candidates) ?? "")
        }
    }

    /// What a command takes; nil when nobody can tell.
    private static func operand(_ candidates: Candidates) -> String? {
        switch candidates {
        case .anything: nil
        case .files, .folders: "-F"
        case .words(let words): "-a \(quoted(words.joined(separator: " ")))"
        case .configured(let directive): "-a '(__gateway_configured \(directive))'"
        }
    }

    /// fish knows two escapes between single quotes.
    private static func quoted(_ text: String) -> String {
        "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
}
