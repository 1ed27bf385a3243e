import GatewayConfiguration
import GatewayControl
import GatewayIO

/// The traces that clients of the control socket follow. The control thread's.
final class Traces {
    /// At once: each makes workers do more for each frame.
    static let most = 4
    /// How long workers may take to find the connections of a trace before it is said to have begun.
    private static let patience: UInt64 = 5_000_000_000

    private struct Session {
        let tracer: Tracer
        let writer: TraceWriter
        /// When it ends; nil when its client does not say.
        let end: UInt64?
        let startBy: UInt64
        /// What processes of handlers were asked.
        let question: UInt64
        var hasStarted = false
        var shown = 0
    }

    private var sessions: [Session] = []
    private let context: ServerContext
    private let bell: ControlWaker
    /// What has to be added to the monotonic clock to have that of the wall.
    private let wallOffset: Int64

    init(_ context: ServerContext, bell: ControlWaker) {
        self.context = context
        self.bell = bell
        wallOffset = LogTime.wallNanoseconds() &- Int64(bitPattern: Clock.monotonicNanoseconds())
    }

    /// Has all workers look for the connections, and processes of handlers.
    ///
    /// - Returns: what the client hears at once; nil when it is told what comes.
    func begin(_ query: TraceQuery, for client: UInt64, _ handlerManager: HandlerManager) -> ControlAnswer? {
        if let refusal = refusal(query, handlerManager.routing) { return refusal }
        let processes = handlerManager.isolated.compactMap(\.holder)
        let tracer = Tracer(query, for: client, workers: context.ports.count + processes.count, bell: bell)
        let question = handlerManager.questions.ask(query, TraceAnswers(tracer), of: processes)
        let now = context.clock()
        let end = query.duration.map { now &+ min($0, 1 << 40) &* 1_000_000 }
        sessions.append(
            Session(
                tracer: tracer, writer: TraceWriter(query), end: end, startBy: now &+ Self.patience, question: question)
        )
        for port in context.ports { port.post(.trace(tracer, from: 0, found: 0)) }
        context.log.info("a trace of \(query.subject) begins")
        return nil
    }

    private func refusal(_ query: TraceQuery, _ routing: RoutingTable) -> ControlAnswer? {
        guard sessions.count < Self.most else {
            return ControlAnswer("error: \(Self.most) traces are on already, end one of them", exit: 75)
        }
        guard case .route(let name) = query.target, !routing.routes.contains(where: { $0.isCalled(name) }) else {
            return nil
        }
        let hint = Suggestion.nearest(to: name, among: routing.routes.map(\.name)).map { " (did you mean \"\($0)\"?)" }
        return ControlAnswer("error: there is no route \"\(name)\"\(hint ?? "")", exit: 1)
    }

    /// When `turn` must be called even if no worker has news; nil = never.
    var deadline: UInt64? {
        sessions.compactMap { $0.hasStarted ? $0.end : $0.startBy }.min()
    }

    /// Tells clients what has come, as far as they read.
    func turn(_ control: ControlEndpoint, _ handlerManager: HandlerManager) {
        var index = 0
        while index < sessions.count {
            if step(&sessions[index], control) { index += 1 } else { end(sessions.remove(at: index), handlerManager) }
        }
    }

    private func end(_ session: Session, _ handlerManager: HandlerManager) {
        handlerManager.questions.end(session.question, of: handlerManager.isolated)
        for port in context.ports { port.post(.endTrace(session.tracer, from: 0)) }
        context.log.info(
            "the trace of \(session.tracer.query.subject) is over: \(session.shown) lines were shown")
    }

    /// - Returns: false when it is over.
    private func step(_ session: inout Session, _ control: ControlEndpoint) -> Bool {
        let tracer = session.tracer
        guard control.isAwaited(by: tracer.client) else { return false }
        let now = context.clock()
        if !session.hasStarted {
            guard let known = tracer.connections ?? (now >= session.startBy ? 0 : nil) else { return true }
            if known == 0, case .connection = tracer.query.target {
                // A worker that is held up by a callback, or the process of a handler.
                let isSure = tracer.connections != nil
                let what =
                    "no open connection has the id \(tracer.query.subject.split(separator: " ").last ?? "")"
                    + (isSure ? "" : ", as far as all have answered in time")
                control.answer(
                    tracer.client, ControlAnswer("error: \(what); `gateway connections` shows them", exit: 1))
                return false
            }
            session.hasStarted = true
            let amount = known == 1 ? "1 connection is open" : "\(known) connections are open"
            control.send(
                tracer.client,
                session.writer.note(
                    "trace", "\(tracer.query.subject): \(amount)", "connections", known, at: time(now)))
        }
        let isOver = tracer.isOver || session.end.map { $0 <= now } ?? false
        // Whoever does not read finds out how much he missed when he does.
        guard control.isReady(tracer.client) || isOver else { return true }
        let text = text(&session, now)
        if isOver {
            control.answer(tracer.client, ControlAnswer(text, exit: 0))
            return false
        }
        if !text.isEmpty { control.send(tracer.client, text) }
        return true
    }

    private func text(_ session: inout Session, _ now: UInt64) -> String {
        let (records, dropped) = session.tracer.take()
        session.shown += records.count
        var text = ""
        for record in records { text += session.writer.line(record, at: time(record.nanoseconds)) }
        if dropped > 0 {
            text += session.writer.note(
                "dropped",
                "\(dropped) \(dropped == 1 ? "line is" : "lines are") missing here: they came faster than they"
                    + " were read", "lines", dropped, at: time(now))
        }
        return text
    }

    private func time(_ nanoseconds: UInt64) -> String {
        let wall = Int64(bitPattern: nanoseconds) &+ wallOffset
        return LogTime.text(seconds: wall / 1_000_000_000, microseconds: Int(wall % 1_000_000_000) / 1000)
    }
}
