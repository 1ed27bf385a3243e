import HandlerTemplates

/// What may stand for a word of the command line that is called VALUE, FILE or the like.
package enum Candidates: Sendable, Equatable {
    /// Nobody can tell.
    case anything
    case files
    case folders
    case words([String])
    /// The names behind a directive of the configuration that the command is about.
    case configured(directive: String)

    /// - Parameter name: what the help calls the word; several words that may stand there are written `one|other`.
    package init(_ name: String) {
        switch name {
        case "FILE", "FILE.so": self = .files
        case "FOLDER": self = .folders
        case "LANGUAGE": self = .words(Language.allCases.map(\.rawValue))
        case "FLAVOUR": self = .words(Flavour.allCases.map(\.rawValue))
        case "HANDLER": self = .configured(directive: "handler")
        case "PATH": self = .configured(directive: "route")
        default:
            let words = name.split(separator: "|").map { String($0) }
            let areLiteral = words.count > 1 && words.allSatisfy { $0 == $0.lowercased() && !$0.contains(" ") }
            self = areLiteral ? .words(words) : .anything
        }
    }
}
