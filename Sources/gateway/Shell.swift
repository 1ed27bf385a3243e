/// A shell that completes command lines.
package enum Shell: String, CaseIterable, Sendable {
    case bash, zsh, fish

    /// What it reads to complete those of the gateway.
    package var completion: String {
        switch self {
        case .bash: BashCompletion.text
        case .zsh: ZshCompletion.text
        case .fish: FishCompletion.text
        }
    }

    /// The command that lists names of a configuration; `$1` is the directive, and what follows are options of it.
    ///
    /// Patterns are no paths, so they are left out.
    static let listing = #"sed -n "s/^ *$1 \([^ ;{:*]*\)[ ;].*/\1/p" | sort -u"#

    /// A word in quotes that keep everything as it is.
    static func quoted(_ word: String) -> String {
        "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }
}
