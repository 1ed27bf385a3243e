import GatewayConfiguration
import Testing

/// What a text is, or everything that is wrong with it, one finding a line.
enum Reading: Equatable {
    case loaded(LoadedConfiguration)
    case refused([String])

    /// Reads a text that stands in a file of the given name.
    init(_ text: String, file: String = "gateway.conf") {
        do throws(ConfigurationError) {
            self = .loaded(try Configuration.parse(text, file: file))
        } catch {
            self = .refused(error.diagnostics.map(\.summary))
        }
    }

    /// The configuration; nil when it was refused.
    var configuration: Configuration? {
        if case .loaded(let loaded) = self { loaded.configuration } else { nil }
    }

    /// What is odd about an accepted text, or wrong with a refused one.
    var findings: [String] {
        switch self {
        case .loaded(let loaded): loaded.warnings.map(\.summary)
        case .refused(let findings): findings
        }
    }
}

extension Diagnostic {
    /// `line:column+length severity: message`, the file in front when it is not gateway.conf.
    var summary: String {
        let name = file == "gateway.conf" ? "" : file + ":"
        guard let line else { return "\(name) \(severity.rawValue): \(message)" }
        return "\(name)\(line):\(column)+\(length) \(severity.rawValue): \(message)"
    }
}

/// The text with a listener and a route, so that nothing else is wrong with it.
func complete(_ text: String) -> String { "\(text)\nlisten 1; route /r { handler h; }\n" }

/// A text and everything that is wrong with it.
struct Refusal: Sendable, CustomTestStringConvertible {
    let text: String
    let findings: [String]

    init(_ text: String, _ findings: [String]) {
        self.text = text
        self.findings = findings
    }

    var testDescription: String { text }
}

/// A text and what has to hold of its configuration.
struct Acceptance: Sendable, CustomTestStringConvertible {
    let text: String
    let holds: @Sendable (Configuration) -> Bool

    init(_ text: String, _ holds: @escaping @Sendable (Configuration) -> Bool) {
        self.text = text
        self.holds = holds
    }

    var testDescription: String { text }
}
