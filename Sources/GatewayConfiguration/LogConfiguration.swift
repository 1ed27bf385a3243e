/// Where the lines of a log go.
package enum LogDestination: Sendable, Hashable {
    /// Standard error of the process.
    case standardError
    /// The end of a file: an absolute path after loading.
    case file(String)

    var text: String {
        switch self {
        case .standardError: "stderr"
        case .file(let path): Quotation.ifNeeded(path)
        }
    }
}

/// How the lines of a log are written.
package enum LogForm: String, Sendable, CaseIterable {
    /// For people.
    case text
    /// An object a line, for programs.
    case json
}

/// `access_log`: a line for each opening, end, refusal and plain request.
package struct AccessLogConfiguration: Sendable, Equatable {
    package var destination = LogDestination.standardError
    package var form = LogForm.text

    package init(destination: LogDestination = .standardError) { self.destination = destination }

    /// As it is written in a configuration.
    package var text: String { "\(destination.text) \(form.rawValue)" }
}

/// `error_log`: what the gateway and its handlers have to say.
package struct ErrorLogConfiguration: Sendable, Equatable {
    package var destination = LogDestination.standardError
    /// The least important line that is logged.
    package var level = Configuration.LogLevel.info
    package var form = LogForm.text

    package init(destination: LogDestination = .standardError) { self.destination = destination }

    /// As it is written in a configuration.
    package var text: String { "\(destination.text) \(level.rawValue) \(form.rawValue)" }
}
