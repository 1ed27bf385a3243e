import GatewayControl
import Glibc

/// What the first process wants to know of processes of handlers: it asks when somebody asks it, and waits for none of them.
/// It belongs to the control thread.
final class ProcessQuestions {
    private enum Asker {
        case listing(ConnectionAnswers)
        case trace(TraceAnswers)
    }

    private struct Question {
        let line: String
        let asker: Asker
    }

    private var open: [UInt64: Question] = [:]
    private var last: UInt64 = 0

    // MARK: Asking

    /// Asks who is connected there.
    func ask(_ query: ConnectionQuery, _ answers: ConnectionAnswers, of processes: [IsolatedHandler]) -> UInt64 {
        let question = Question(line: ControlCommand.connections(query).line, asker: .listing(answers))
        for each in processes where query.handler == nil || query.handler == each.handler {
            guard let process = each.holder else { continue }
            answers.await(process.number, of: each.handler, ObjectIdentifier(each.port))
            process.send(.ask(number: last + 1, line: question.line))
        }
        return add(question)
    }

    /// Has frames followed there, also by processes that come later.
    func ask(_ query: TraceQuery, _ answers: TraceAnswers, of processes: [HandlerProcess]) -> UInt64 {
        let question = Question(line: ControlCommand.trace(query).line, asker: .trace(answers))
        for process in processes {
            answers.await(process.number)
            process.send(.ask(number: last + 1, line: question.line))
        }
        return add(question)
    }

    private func add(_ question: Question) -> UInt64 {
        last += 1
        open[last] = question
        return last
    }

    /// Nobody wants to know it any more.
    func end(_ number: UInt64, of processes: [IsolatedHandler]) {
        guard open.removeValue(forKey: number) != nil else { return }
        for each in processes { each.holder?.send(.unask(number)) }
    }

    // MARK: Processes

    /// A process serves from now on: it follows what others follow.
    func begin(_ process: HandlerProcess) {
        for (number, question) in open {
            if case .trace = question.asker { process.send(.ask(number: number, line: question.line)) }
        }
    }

    func hear(_ answer: ProcessAnswer, from process: pid_t) {
        switch (open[answer.question]?.asker, answer.subject) {
        case (.listing(let answers), .connections(let batch)): answers.hear(batch, from: process)
        case (.trace(let answers), .trace(let batch)): answers.hear(batch, from: process)
        default: break
        }
    }

    /// The process has gone.
    func forget(_ process: pid_t) {
        for question in open.values {
            switch question.asker {
            case .listing(let answers): answers.forget(process)
            case .trace(let answers): answers.forget(process)
            }
        }
    }
}
