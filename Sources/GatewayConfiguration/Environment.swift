import Glibc

/// The variables that `${NAME}` in a file stands for.
package struct Environment: Sendable {
    /// Nil = those of the process.
    private let variables: [String: String]?

    package static let process = Environment(nil)

    private init(_ variables: [String: String]?) { self.variables = variables }

    /// Exactly these.
    package init(variables: [String: String]) { self.init(variables) }

    /// Nil for one that is not set.
    package subscript(name: String) -> String? {
        if let variables { return variables[name] }
        return unsafe getenv(name).map { unsafe String(cString: $0) }
    }
}
