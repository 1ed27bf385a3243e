/// The process of an isolated handler has died, and left what it has written down.
struct ProcessDeath: Sendable {
    let port: IsolatedPort
    /// Nil where that cannot be read.
    let ledger: LedgerReader?
    /// The process that was giving it connections, and has stopped: whoever it had given, and the other had not had, is in
    /// its ledger alone.
    var former: (port: IsolatedPort, ledger: LedgerReader)?
    /// It has not died: those come back that it had given to one that has.
    var isAlive = false
}
