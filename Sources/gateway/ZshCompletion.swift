/// Completion for zsh.
enum ZshCompletion {
    static var text: String {
        """
        #compdef gateway
        # Completion of gateway for zsh, as `gateway completion zsh` prints it.

        # The names that the configuration of this line has behind a directive.
        _gateway_configured() {
            local -a file names
            (( ! $+opt_args[-c] )) || file=(-c ${(Q)~opt_args[-c]})
            names=(${(f)"$(gateway -T $file 2>/dev/null | \(Shell.listing))"})
            compadd -a names
        }

        _gateway() {
            local context state state_descr line
            typeset -A opt_args
            _arguments -C -A '-*' \(specifications(CommandOption.general)) \\
                '1:command:->command' '*::argument:->argument' && return
            case $state in
            command)
                local -a commands=(
        \(CommandPage.all.map { "            " + described($0) }.joined(separator: "\n"))
                )
                _describe command commands
                ;;
            argument)
                case $line[1] in
        \(CommandPage.all.map { "        " + arguments($0) }.joined(separator: "\n"))
                esac
                ;;
            esac
        }

        if [[ $funcstack[1] == _gateway ]]; then _gateway "$@"; else compdef _gateway gateway; fi

        """
    }

    private static func described(_ page: CommandPage) -> String {
        Shell.quoted(page.name.replacing(":", with: "\\:") + ":" + page.summary)
    }

    private static func arguments(_ page: CommandPage) -> String {
        var words = [specifications(CommandOption.all(of: page))]
        if !page.operand.isEmpty {
            words.append(Shell.quoted("*:\(escaped(page.operand)):\(action(Candidates(page.operand)))"))
        }
        return "\(page.name)) _arguments \(words.joined(separator: " ")) ;;"
    }

    private static func specifications(_ options: [CommandOption]) -> String {
        options.flatMap { option in
            option.names.map { name in
                // The value of a long option may follow a sign, too.
                let form = option.value != nil && name.hasPrefix("--") ? "\(name)=" : name
                let value = option.value.map { ":\(escaped($0)):\(action(Candidates($0)))" } ?? ""
                return Shell.quoted("*\(form)[\(escaped(option.summary))]\(value)")
            }
        }.joined(separator: " ")
    }

    private static func action(_ candidates: Candidates) -> String {
        switch candidates {
        case .anything: " "
        case .files: "_files"
        case .folders: "_files -/"
        case .words(let words): "(\(words.joined(separator: " ")))"
        case .configured(let directive): "{_gateway_configured \(directive)}"
        }
    }

    private static func escaped(_ text: String) -> String {
        String(text.flatMap { "[]:\\".contains($0) ? ["\\", $0] : [$0] })
    }
}
