import GatewayIO

/// What is to be told of connections that end with their process.
extension LedgerReader {
    /// Whether a connection was open and its process has told nobody of its end; nil where it never came there, or has gone
    /// on to the next process.
    func isOpened(_ id: ConnectionID) -> Bool? {
        guard case .entry(let entry) = find(id), !entry.state.contains(.isGiven) else { return nil }
        return entry.state.contains(.isOpened)
    }

    /// What is known of a connection that nobody goes on with; nothing may be said to its peer on the strength of it.
    func memory(of id: ConnectionID, at now: UInt64 = Clock.monotonicNanoseconds()) -> ConnectionRecord? {
        guard case .entry(let entry) = find(id), !entry.state.hasLeft else { return nil }
        return try? record(entry, input: [], at: now)
    }
}

extension Connection {
    /// It was opened, and nobody has told of its end.
    var owesEnd: Bool { flags.contains(.opened) || phase == .open || rareState?.isEndUntold ?? false }
}

extension ConnectionRecord {
    /// The same, as the process has written it that gives the connection away.
    var owesEnd: Bool { phase == .open || ending.isUntold }
}
