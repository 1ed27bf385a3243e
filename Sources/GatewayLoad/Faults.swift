/// What went wrong during a run, counted by kind, with an example of each.
package struct Faults: Sendable {
    /// A kind of trouble; its name stands in the report.
    package enum Kind: String, CaseIterable, Sendable {
        /// The connection or its handshake did not come about.
        case refused
        /// A message came back different, out of order or of another type.
        case mismatched
        /// A frame broke RFC 6455, or a message came that no client sent.
        case violations
        /// The server ended a connection.
        case closed = "closed_by_server"
        /// Something was awaited for too long.
        case lost
    }

    private var counts = [Int](repeating: 0, count: Kind.allCases.count)
    /// The first trouble of each kind, as sentences.
    package private(set) var examples: [String] = []

    package init() {}

    package var isEmpty: Bool { counts.allSatisfy { $0 == 0 } }

    package subscript(kind: Kind) -> Int { counts[Self.index(kind)] }

    package mutating func add(_ kind: Kind, times count: Int = 1, _ sentence: @autoclosure () -> String) {
        let index = Self.index(kind)
        if counts[index] == 0 { examples.append(sentence()) }
        counts[index] &+= count
    }

    private static func index(_ kind: Kind) -> Int {
        switch kind {
        case .refused: 0
        case .mismatched: 1
        case .violations: 2
        case .closed: 3
        case .lost: 4
        }
    }
}
