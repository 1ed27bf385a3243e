import GatewayIO

/// What a reload, a rollback or a change of configuration came to for one handler.
struct ReloadOutcome: Sendable {
    enum Result: String, Sendable, CaseIterable {
        /// A new generation serves.
        case switched
        /// Nothing was to be done.
        case unchanged
        /// The generation before goes on serving.
        case refused
    }

    let handler: String
    let result: Result
    /// A sentence for people, or several lines when something went wrong.
    let text: String
    /// From the request to the first complete pass of all workers.
    var milliseconds = 0
    var moved = 0
    var refused = 0
    var draining = 0
    /// From the switch to the last connection that moved before the outcome; nil when none did.
    var movingMilliseconds: Double?
    /// When it was asked for, in seconds since 1970.
    let at = Clock.wallSeconds()
    /// What set it off.
    var cause = ""

    /// The handler's file is what serves: one of many such is not worth a line of its own.
    var isPlainlyUnchanged: Bool { result == .unchanged && text.hasPrefix("the file is identical") }

    /// The outcome as the client that asked for it reads it.
    var line: String { text.hasPrefix("handler \"") ? text : "handler \"\(handler)\": \(text)" }
}
