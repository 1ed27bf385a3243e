import GatewayControl
import GatewayIO

/// Listings that clients of the control socket wait for. The control thread's.
final class ConnectionListings {
    /// How long workers may take: one that is held up by a callback does not hold up the answer.
    static let patience: UInt64 = 5_000_000_000
    /// At once; each keeps its rows until they are sent. Others wait for their turn.
    static let most = 2

    private var running: [(listing: ConnectionListing, deadline: UInt64)] = []
    private var waiting: [(query: ConnectionQuery, client: UInt64)] = []
    private let context: ServerContext
    private let bell: ControlWaker

    init(_ context: ServerContext, bell: ControlWaker) {
        self.context = context
        self.bell = bell
    }

    /// A client asks; `turn` answers it.
    func begin(_ query: ConnectionQuery, for client: UInt64) {
        waiting.append((query, client))
        askWorkers()
    }

    private func askWorkers() {
        while running.count < Self.most, !waiting.isEmpty {
            let (query, client) = waiting.removeFirst()
            let listing = ConnectionListing(query, for: client, workers: context.ports.count, bell: bell)
            running.append((listing, context.clock() &+ Self.patience))
            for port in context.ports { port.post(.list(listing)) }
        }
    }

    /// When `turn` must be called even if no worker has news; nil = never.
    var deadline: UInt64? { running.map(\.deadline).min() }

    /// Answers what is over.
    func turn(_ control: ControlEndpoint) {
        if running.isEmpty { return }
        let now = context.clock()
        running.removeAll { listing, deadline in
            guard control.isAwaited(by: listing.client) else {
                listing.abandon()
                return true
            }
            guard listing.isOver || now >= deadline else { return false }
            let report = listing.report()
            listing.abandon()
            control.answer(listing.client, report.answer)
            return true
        }
        askWorkers()
    }
}
