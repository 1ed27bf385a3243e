import GatewayControl

/// What `gateway` can be asked to do: the first word of the command line.
package enum Command: String, CaseIterable, Sendable {
    case run
    case check
    case status
    case connections
    case trace
    case reload
    case rollback
    case upgrade
    case stop
    case drain
    case explain
    case inspect
    case new
    case test
    case initialize = "init"
    case connect
    case top
    case devCert = "dev-cert"
    case completion
    case man

    /// The operands it takes: how many, and what they are called.
    package var operands: (count: ClosedRange<Int>, name: String) {
        switch self {
        case .run, .check, .status, .connections, .stop, .drain, .top: (0...0, "")
        case .trace: (0...1, "ID")
        case .reload: (0...1, "HANDLER")
        case .rollback: (1...1, "HANDLER")
        case .upgrade: (0...1, "FILE")
        case .explain: (1...1, "PATH")
        case .inspect: (1...1, "FILE.so")
        case .new: (1...1, "NAME")
        case .test: (1...1, "FILE.so")
        case .initialize: (0...1, "FOLDER")
        case .connect: (1...1, "URL")
        case .devCert: (0...100, "NAME")
        case .completion: (1...1, Shell.allCases.map(\.rawValue).joined(separator: "|"))
        case .man: (0...1, ManualPage.allCases.map(\.rawValue).joined(separator: "|"))
        }
    }

    /// Whether it has to do with a configuration.
    package var takesConfiguration: Bool {
        switch self {
        case .inspect, .new, .test, .initialize, .connect, .devCert, .completion, .man: false
        case .run, .check, .status, .connections, .trace, .reload, .rollback, .upgrade, .stop, .drain, .explain, .top:
            true
        }
    }

    /// The options of its own that have a value.
    package var options: [String] {
        switch self {
        case .new: ["--language", "--flavour", "--into"]
        case .test: ["--route", "--set"]
        case .explain: ["-H"]
        case .connections: ConnectionQuery.options
        case .trace: TraceQuery.options
        case .connect: ["-H", "--subprotocol", "--cacert", "--wait"]
        case .top: ["--interval", "--count"]
        case .run, .check, .status, .reload, .rollback, .upgrade, .stop, .drain, .inspect, .initialize, .devCert,
            .completion,
            .man:
            []
        }
    }

    /// The options of its own that have none.
    package var flags: [String] {
        switch self {
        case .test: ["--tls", "--deflate"]
        case .devCert: ["--remove"]
        case .upgrade: ["--back"]
        case .trace: TraceQuery.flags
        case .initialize: ["--force"]
        case .connect: ["--insecure", "--deflate", "--http2", "--raw", "--pings"]
        case .run, .check, .status, .connections, .reload, .rollback, .stop, .drain, .explain, .inspect, .new, .top,
            .completion, .man:
            []
        }
    }

    /// The options of its own that may have a value, a duration.
    package var durations: [String] {
        switch self {
        case .stop, .drain: ["--spread"]
        case .run, .check, .status, .connections, .trace, .reload, .rollback, .upgrade, .explain, .inspect, .new, .test,
            .initialize, .connect, .top, .devCert, .completion, .man:
            []
        }
    }

    /// Whether its answer can be had as JSON.
    package var hasJSON: Bool { [.status, .connections, .trace, .test, .connect].contains(self) }
}
