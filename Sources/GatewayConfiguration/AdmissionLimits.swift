/// What one address may have of the gateway, or of a route.
package struct AdmissionLimits: Sendable, Equatable {
    /// `max_connections_per_ip`: connections at once; above, 429. nil = as many as there is room for.
    package var connectionsPerAddress: Int?
    /// `handshake_rate`: how often it may ask for a connection; above, 429. nil = as often as it likes.
    package var handshakeRate: HandshakeRate?

    package init() {}

    package var isOff: Bool { connectionsPerAddress == nil && handshakeRate == nil }
}

/// So many handshakes in a while, and so many at once after a pause.
package struct HandshakeRate: Sendable, Equatable, CustomStringConvertible {
    package let count: Int
    /// 1, 60 or 3600.
    package let seconds: Int
    package let burst: Int

    private static let periods = [(name: "s", seconds: 1), (name: "m", seconds: 60), (name: "h", seconds: 3600)]
    /// Of handshakes.
    static let range: ClosedRange<Int> = 1...1_000_000

    /// Why words are no rate; the text is the sentence for the operator.
    struct Failure: Error, Sendable {
        /// The place of the word.
        let word: Int
        /// What is wrong, as it follows the quoted word.
        let sentence: String
    }

    /// Reads `20/s` or `20/s burst 50`.
    init(_ words: [String]) throws(Failure) {
        let parts = words[0].split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count == 2, let period = Self.periods.first(where: { $0.name == parts[1] }) else {
            throw Failure(word: 0, sentence: "is no rate, such as 20/s, 100/m or 1000/h")
        }
        count = try Self.number(parts[0], word: 0)
        seconds = period.seconds
        guard words.count > 1 else {
            burst = count
            return
        }
        guard words[1] == "burst" else { throw Failure(word: 1, sentence: "is not \"burst\" and a number") }
        guard words.count > 2 else { throw Failure(word: 1, sentence: "needs a number") }
        burst = try Self.number(words[2], word: 2)
        guard words.count == 3 else { throw Failure(word: 3, sentence: "is unexpected") }
    }

    private static func number(_ text: String, word: Int) throws(Failure) -> Int {
        guard let number = try? Unit.count(text), let count = Int(exactly: number), range.contains(count) else {
            throw Failure(word: word, sentence: "has no number of handshakes from 1 to \(range.upperBound)")
        }
        return count
    }

    package var description: String {
        let period = Self.periods.first { $0.seconds == seconds }?.name ?? "s"
        return "\(count)/\(period) burst \(burst)"
    }
}
