import GatewayControl
import Glibc

/// What processes of handlers say of the frames of their connections, for one trace. It belongs to the control thread.
final class TraceAnswers {
    private let tracer: Tracer
    /// Processes that have not said how many connections it begins with.
    private var waiting: Set<pid_t> = []

    init(_ tracer: Tracer) { self.tracer = tracer }

    func await(_ process: pid_t) { waiting.insert(process) }

    func hear(_ batch: TraceBatch, from process: pid_t) {
        for record in batch.records { tracer.add { record } }
        tracer.note(dropped: Int(clamping: batch.dropped))
        if let found = batch.found, waiting.remove(process) != nil { tracer.noteFound(Int(clamping: found)) }
        if batch.isOver { tracer.end() }
    }

    /// The process has gone.
    func forget(_ process: pid_t) { if waiting.remove(process) != nil { tracer.noteFound(0) } }
}
