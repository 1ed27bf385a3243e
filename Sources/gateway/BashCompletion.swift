/// Completion for bash.
enum BashCompletion {
    static var text: String {
        """
        # Completion of gateway for bash, as `gateway completion bash` prints it.

        # The names that the configuration of this line has behind a directive.
        _gateway_configured() {
            local file=() i
            for ((i = 1; i < COMP_CWORD; i++)); do
                [[ ${COMP_WORDS[i]} != -c ]] || file=(-c "${COMP_WORDS[i + 1]/#\\~/$HOME}")
            done
            "${COMP_WORDS[0]/#\\~/$HOME}" -T "${file[@]}" 2>/dev/null | \(Shell.listing)
        }

        _gateway() {
            local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' i
            local commands=\(Shell.quoted(CommandPage.all.map(\.name).joined(separator: " ")))
            for ((i = 1; i < COMP_CWORD; i++)); do
                [[ ${COMP_WORDS[i]} == -c ]] && ((i++)) && continue
                [[ " $commands " == *" ${COMP_WORDS[i]} "* ]] && command=${COMP_WORDS[i]} && break
            done
            COMPREPLY=()
            case $command:$before in
        \(values)
            esac
            if [[ $word == -* ]]; then
                case $command in
        \(options)
                esac
            else
                case $command in
        \(operands)
                esac
            fi
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        }

        complete -F _gateway gateway

        """
    }

    /// What follows an option that takes a value.
    private static var values: String {
        let general = CommandOption.general.map { ("", $0) }
        let own = CommandPage.all.flatMap { page in CommandOption.all(of: page).map { (page.name, $0) } }
        return (general + own).compactMap { command, option in
            option.value.map { value in
                let labels = option.names.map { "\(command):\($0)" }.joined(separator: " | ")
                return "        \(labels)) \(reply(Candidates(value))); return ;;"
            }
        }.joined(separator: "\n")
    }

    private static var options: String {
        let rows = [("''", CommandOption.general)] + CommandPage.all.map { ($0.name, CommandOption.all(of: $0)) }
        return rows.map { command, options in
            let names = options.flatMap(\.names).joined(separator: " ")
            return "            \(command)) words='\(names)' ;;"
        }.joined(separator: "\n")
    }

    private static var operands: String {
        let rows = CommandPage.all.filter { !$0.operand.isEmpty }.map { page in
            "            \(page.name)) \(words(Candidates(page.operand))) ;;"
        }
        return (["            '') words=$commands ;;"] + rows).joined(separator: "\n")
    }

    private static func words(_ candidates: Candidates) -> String {
        switch candidates {
        case .words(let words): "words=\(Shell.quoted(words.joined(separator: " ")))"
        case .configured(let directive): "words=$(_gateway_configured \(directive))"
        case .anything, .files, .folders: "\(reply(candidates)); return"
        }
    }

    private static func reply(_ candidates: Candidates) -> String {
        switch candidates {
        case .anything: ":"
        case .files: "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\")"
        case .folders: "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$word\")"
        case .words(let words): "mapfile -t COMPREPLY < <(compgen -W '\(words.joined(separator: " "))' -- \"$word\")"
        case .configured(let directive):
            "mapfile -t COMPREPLY < <(compgen -W \"$(_gateway_configured \(directive))\" -- \"$word\")"
        }
    }
}
