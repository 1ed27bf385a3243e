/// What `gateway` can be asked to do: the first word of the command line.
package enum Command: String, CaseIterable, Sendable {
    case run
    case check
    case status
    case reload
    case rollback
    case stop
    case drain
    case explain
    case inspect
    case new
    case test
    case devCert = "dev-cert"

    /// The operands it takes: how many, and what they are called.
    var operands: (count: ClosedRange<Int>, name: String) {
        switch self {
        case .run, .check, .status, .stop, .drain: (0...0, "")
        case .reload: (0...1, "HANDLER")
        case .rollback: (1...1, "HANDLER")
        case .explain: (1...1, "PATH")
        case .inspect: (1...1, "FILE.so")
        case .new: (1...1, "NAME")
        case .test: (1...1, "FILE.so")
        case .devCert: (0...100, "NAME")
        }
    }

    /// Whether it has to do with a configuration.
    var takesConfiguration: Bool {
        switch self {
        case .inspect, .new, .test, .devCert: false
        case .run, .check, .status, .reload, .rollback, .stop, .drain, .explain: true
        }
    }

    /// The options of its own that have a value.
    var options: [String] {
        switch self {
        case .new: ["--language", "--flavour", "--into"]
        case .test: ["--route", "--set"]
        case .explain: ["-H"]
        case .run, .check, .status, .reload, .rollback, .stop, .drain, .inspect, .devCert: []
        }
    }

    /// The options of its own that have none.
    var flags: [String] {
        switch self {
        case .test: ["--tls", "--deflate"]
        case .devCert: ["--remove"]
        case .run, .check, .status, .reload, .rollback, .stop, .drain, .explain, .inspect, .new: []
        }
    }

    /// Whether its answer can be had as JSON.
    var hasJSON: Bool { self == .status || self == .test }
}
