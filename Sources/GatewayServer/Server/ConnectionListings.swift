import GatewayControl
import GatewayIO

/// Listings that clients of the control socket wait for. The control thread's.
final class ConnectionListings {
    /// How long workers may take: one that is held up by a callback does not hold up the answer.
    static let patience: UInt64 = 5_000_000_000
    /// At once; each keeps its rows until they are sent. Others wait for their turn.
    static let most = 2

    /// How long processes of handlers may take to say what their connections have said.
    private static let patienceWithProcesses: UInt64 = 2_000_000_000

    private struct Running {
        let listing: ConnectionListing
        let deadline: UInt64
        /// What processes of handlers say, and when they are waited for no longer.
        let answers: ConnectionAnswers
        let question: UInt64
        let answersBy: UInt64

        /// Everybody has answered.
        var isOver: Bool { listing.isOver && answers.isOver }
    }

    private var running: [Running] = []
    private var waiting: [(query: ConnectionQuery, client: UInt64)] = []
    private let context: ServerContext
    private let bell: ControlWaker

    init(_ context: ServerContext, bell: ControlWaker) {
        self.context = context
        self.bell = bell
    }

    /// A client asks; `turn` answers it.
    func begin(_ query: ConnectionQuery, for client: UInt64, _ handlerManager: HandlerManager) {
        waiting.append((query, client))
        ask(handlerManager)
    }

    private func ask(_ handlerManager: HandlerManager) {
        while running.count < Self.most, !waiting.isEmpty {
            let (query, client) = waiting.removeFirst()
            let listing = ConnectionListing(query, for: client, workers: context.ports.count, bell: bell)
            let answers = ConnectionAnswers(query)
            let question = handlerManager.questions.ask(query, answers, of: handlerManager.isolated)
            let now = context.clock()
            running.append(
                Running(
                    listing: listing, deadline: now &+ Self.patience, answers: answers, question: question,
                    answersBy: now &+ Self.patienceWithProcesses))
            for port in context.ports { port.post(.list(listing)) }
        }
    }

    /// When `turn` must be called even if no worker has news; nil = never.
    var deadline: UInt64? { running.map { $0.answers.isOver ? $0.deadline : min($0.deadline, $0.answersBy) }.min() }

    /// Answers what is over.
    func turn(_ control: ControlEndpoint, _ handlerManager: HandlerManager) {
        if running.isEmpty { return }
        let now = context.clock()
        running.removeAll { each in
            let isAwaited = control.isAwaited(by: each.listing.client)
            if now >= each.answersBy { each.answers.giveUp() }
            guard !isAwaited || each.isOver || now >= each.deadline else { return false }
            if isAwaited { control.answer(each.listing.client, each.listing.report(each.answers).answer) }
            each.listing.abandon()
            handlerManager.questions.end(each.question, of: handlerManager.isolated)
            return true
        }
        ask(handlerManager)
    }
}
