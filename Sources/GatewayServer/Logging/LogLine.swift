import Bytes
import GatewayConfiguration
import GatewayControl

/// A line of the error log.
struct LogLine {
    /// What it is about, as far as that is known.
    struct Subject {
        var handler: String?
        var generation: UInt64?
        var route: String?
        var connection: UInt64?
    }

    let time: String
    let level: Log.Level
    let message: String
    var subject = Subject()

    /// Without its end. In JSON a message of several lines is one record; as text its further lines are indented.
    func text(_ form: LogForm) -> String {
        switch form {
        case .text: "\(time) \(level.name): \(PrintableText.escaped(message))"
        case .json: json
        }
    }

    private var json: String {
        var writer = JSONWriter()
        writer.object { line in
            line.member("time", time)
            line.member("level", level.name)
            line.member("message", message)
            if let handler = subject.handler { line.member("handler", handler) }
            if let generation = subject.generation { line.member("generation", generation) }
            if let route = subject.route { line.member("route", route) }
            if let connection = subject.connection { line.member("id", String(connection, radix: 16)) }
        }
        return writer.text
    }
}
