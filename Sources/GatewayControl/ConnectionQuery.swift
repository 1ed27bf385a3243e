package import GatewayConfiguration

/// Which connections `gateway connections` shows, in which order, and how many at most.
package struct ConnectionQuery: Sendable, Equatable {
    /// What they are sorted by.
    package enum Key: String, Sendable, CaseIterable {
        /// How long they are there.
        case age
        /// In both directions.
        case messages
        /// In both directions.
        case bytes
        /// What waits for the peer.
        case queue
        /// How long nothing has come or gone.
        case idle
    }

    /// What is shown where nobody says how many.
    package static let usualLimit = 1000
    /// More are never shown, so that an answer has a bound.
    package static let mostRows = 50_000

    package var form = ControlCommand.Form.text
    /// By its path, or with its host before it.
    package var route: String?
    package var handler: String?
    package var generation: UInt64?
    package var peer: AddressPrefix?
    package var id: UInt64?
    package var key = Key.age
    package var isDescending = false
    package var limit = Self.usualLimit

    package init() {}

    /// The options of the command line.
    package static let options = ["--route", "--handler", "--generation", "--peer", "--id", "--sort", "--limit"]

    package init(_ options: ControlOptions, form: ControlCommand.Form) throws(ControlCommand.Failure) {
        var options = options
        self.form = form
        route = options.take("route")
        handler = options.take("handler")
        generation = try options.number("generation", 1...Int.max).map { UInt64($0) }
        if let text = options.take("peer") {
            do throws(AddressPrefix.Failure) { peer = try AddressPrefix(text) } catch {
                throw ControlCommand.Failure(sentence: "--peer \"\(text)\" \(error.sentence)")
            }
        }
        if let text = options.take("id") { id = try ControlOptions.connection(text) }
        if let text = options.take("sort") { (key, isDescending) = try Self.order(text) }
        limit = try options.number("limit", 1...Self.mostRows) ?? limit
        try options.end()
    }

    /// Reads `KEY` or `KEY:desc`.
    private static func order(_ text: String) throws(ControlCommand.Failure) -> (Key, Bool) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { String($0) }
        guard let key = Key(rawValue: parts[0]), parts.count == 1 || ["asc", "desc"].contains(parts[1]) else {
            let keys = Key.allCases.map(\.rawValue).joined(separator: ", ")
            throw ControlCommand.Failure(sentence: "--sort is one of \(keys), and perhaps :desc behind it")
        }
        return (key, parts.last == "desc")
    }

    /// The words of a control line.
    var line: String {
        form.rawValue
            + ControlOptions.words([
                ("route", route), ("handler", handler), ("generation", generation.map { "\($0)" }),
                ("peer", peer?.description), ("id", id.map { String($0, radix: 16) }),
                ("sort", key.rawValue + (isDescending ? ":desc" : "")), ("limit", "\(limit)"),
            ])
    }
}
