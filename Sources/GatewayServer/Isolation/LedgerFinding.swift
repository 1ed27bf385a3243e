/// What became of a connection whose process has died, as the ledger has it.
enum LedgerFinding: Equatable {
    /// It never came there.
    case absent
    /// The process died while its handler took it over; perhaps not of that.
    case arriving(isCertain: Bool)
    /// It has ended there.
    case gone
    /// It has been given to the next process, which has not had it if it does not know of it.
    case given(ConnectionRecord)
    /// It can go on. Its handler's state is that of the last checkpoint; nil where there is none.
    case goesOn(ConnectionRecord)
    /// The process died in a callback of it. The record is as of what was written down last; nil where nothing can be said
    /// to its peer.
    case died(ConnectionRecord?)
    /// It cannot go on, and why, in words for the log. The record is nil where nothing can be said to its peer.
    case lost(String, ConnectionRecord?)
}
