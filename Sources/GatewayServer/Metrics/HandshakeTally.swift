import Synchronization

/// How handshakes of TLS have ended. Any thread; one of them costs a thousand times as much as the lock.
final class HandshakeTally: Sendable {
    struct Kind: Hashable, Sendable {
        /// As in "TLSv1.3"; empty where none was agreed on.
        let version: String
        let isResumed: Bool
        let isOpen: Bool
    }

    private let counts = Mutex<[Kind: UInt64]>([:])

    func note(_ kind: Kind) { counts.withLock { $0[kind, default: 0] += 1 } }

    var all: [(kind: Kind, count: UInt64)] {
        counts.withLock { $0.map { (kind: $0.key, count: $0.value) } }.sorted {
            ($0.kind.version, $0.kind.isResumed ? 1 : 0, $0.kind.isOpen ? 1 : 0)
                < ($1.kind.version, $1.kind.isResumed ? 1 : 0, $1.kind.isOpen ? 1 : 0)
        }
    }
}
