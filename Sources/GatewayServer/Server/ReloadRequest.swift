import GatewayControl

/// Who waits for the answer to a command: a client of the control socket, or a dashboard.
enum CommandClient {
    case control(UInt64)
    case admin(UInt64)
}

/// A request for a reload, and what it comes to; answered when all of it is over. It belongs to the control thread.
final class ReloadRequest {
    let cause: String
    /// Who asked; nobody for a signal.
    var clients: [CommandClient]
    /// When, in monotonic nanoseconds.
    let askedAt: UInt64
    /// What became of the configuration.
    var said: [String] = []
    var isRefused = false
    /// What was asked of handlers.
    var reloads: [Reload] = []
    /// Nothing is added any more.
    var isComplete = false

    init(cause: String, client: CommandClient?, at now: UInt64) {
        self.cause = cause
        askedAt = now
        clients = client.map { [$0] } ?? []
    }

    var isOver: Bool { isComplete && reloads.allSatisfy { $0.outcome != nil } }

    /// What every client that asked is told.
    var answer: ControlAnswer {
        let outcomes = reloads.compactMap(\.outcome)
        let unchanged = outcomes.filter { $0.isPlainlyUnchanged }
        var lines = said
        lines += outcomes.filter { !$0.isPlainlyUnchanged || unchanged.count == 1 }.map(\.line)
        if unchanged.count > 1 {
            let names = unchanged.map(\.handler).joined(separator: ", ")
            lines.append("\(unchanged.count) handlers unchanged, their files are identical: \(names)")
        }
        let isRefused = isRefused || outcomes.contains { $0.result == .refused }
        return ControlAnswer(lines.map { $0 + "\n" }.joined(), exit: isRefused ? 75 : 0)
    }
}
