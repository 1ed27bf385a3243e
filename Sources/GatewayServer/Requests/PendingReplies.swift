import Synchronization

/// The replies that handlers owe, so that any thread can be told at once whether its answer counts.
final class PendingReplies: Sendable {
    struct Ticket: Sendable {
        let connection: ConnectionID
        let module: UInt32
        /// Subprotocols that the client offered, for checking the handler's choice.
        let offered: [[UInt8]]
        let isUpgrade: Bool
        var isAnswered = false
    }

    private let tickets = Mutex<[UInt64: Ticket]>([:])

    func open(_ number: UInt64, _ ticket: Ticket) {
        tickets.withLock { $0[number] = ticket }
    }

    /// Forgets a ticket; what comes now is too late.
    ///
    /// - Returns: whether a reply had been taken that has not been acted upon.
    func close(_ number: UInt64) -> Bool {
        tickets.withLock { $0.removeValue(forKey: number)?.isAnswered ?? false }
    }

    func isAnswered(_ number: UInt64) -> Bool {
        tickets.withLock { $0[number]?.isAnswered ?? false }
    }

    /// What became of trying to answer.
    enum Outcome {
        case taken(ConnectionID)
        case twice
        case unknown
        case invalid
    }

    /// Marks a ticket as answered if the reply fits it; only the first fitting reply is taken.
    func answer(_ number: UInt64, module: UInt32, _ reply: Reply) -> Outcome {
        tickets.withLock { tickets in
            guard var ticket = tickets[number], ticket.module == module else { return .unknown }
            if ticket.isAnswered { return .twice }
            if reply.acceptsUpgrade {
                guard ticket.isUpgrade else { return .invalid }
                if !reply.subprotocol.isEmpty, !ticket.offered.contains(reply.subprotocol) { return .invalid }
            }
            ticket.isAnswered = true
            tickets[number] = ticket
            return .taken(ticket.connection)
        }
    }
}
