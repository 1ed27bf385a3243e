/// Takes its state along when a reload replaces it: clients stay connected and notice nothing.
///
///     final class Counter: StatefulHandler, HandoverHandler {
///         static let handover = Handover("example.org/counter")
///         private let total = Mutex(0)
///
///         func snapshot() -> Int { total.withLock { $0 } }
///         func restore(_ snapshot: Int) { total.withLock { $0 += snapshot } }
///
///         init(_ context: borrowing StartContext) {}
///
///         func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }
///
///         func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {
///             count += 1
///             connection.send("\(count) of \(total.withLock { $0 += 1; return $0 })")
///         }
///     }
///
/// On a reload the new module is started, the `snapshot` of the old handler goes to `restore` of the new one, and new
/// clients come to the new one. Then each connection moves, between two of its callbacks: its `State` is written by
/// the old module, read by the new one, and `restored` is what the new handler hears instead of `opened`. A `State`
/// that is a `StateValue` needs nothing for that, nor does a handler without one.
///
/// Both handlers live until the last connection has moved or ended, so what the old one learns after its `snapshot`
/// stays with its connections or is lost; `ReloadHandler` says when that begins. Saving must not change anything: if
/// the new handler throws, it starts afresh, or the connection stays with the old one.
///
/// A handler with neither a `State` nor stored properties needs none of this: it keeps nothing and moves by itself;
/// see `Manifest.Options.stateless` for one that has properties but nothing to hand over.
public protocol HandoverHandler: StatefulHandler {
    /// What the handler itself keeps, as far as the next one shall know it.
    associatedtype Snapshot: StateValue = NoSnapshot

    /// The name and version of everything this handler saves, its own and that of its connections.
    static var handover: Handover { get }

    /// What the handler keeps, now; callbacks go on meanwhile.
    func snapshot() -> Snapshot

    /// Takes over what an earlier generation kept; after `init`, before any other callback.
    func restore(_ snapshot: Snapshot) throws

    /// Writes what is kept of a connection; by default the `State`, which is a `StateValue` or nothing.
    func save(_ state: State, of connection: Connection, into writer: inout StateWriter) throws

    /// Makes the state of a connection from what an earlier generation saved of it.
    func restoreState(of connection: Connection, from reader: inout StateReader) throws -> State

    /// A connection is served here from now on; `opened` was long ago. What is thrown leaves it where it was.
    func restored(_ connection: Connection, _ state: inout State) throws

    /// The same when the process that served the connection has ended (`isolation process`): its state is what was saved
    /// last, and what came of it since is lost. By default as in a reload. A connection that throws is closed.
    func recovered(_ connection: Connection, _ state: inout State) throws
}

/// The snapshot of a handler that keeps nothing but the states of its connections.
public struct NoSnapshot: StateValue {
    public init() {}
    public init(from reader: inout StateReader) throws {}
    public func encode(into writer: inout StateWriter) {}
}

extension HandoverHandler {
    public func restored(_ connection: Connection, _ state: inout State) throws {}
    public func recovered(_ connection: Connection, _ state: inout State) throws { try restored(connection, &state) }
}

extension HandoverHandler where Snapshot == NoSnapshot {
    public func snapshot() -> NoSnapshot { NoSnapshot() }
    public func restore(_ snapshot: NoSnapshot) throws {}
}

extension HandoverHandler where State: StateValue {
    public func save(_ state: State, of connection: Connection, into writer: inout StateWriter) throws {
        writer.write(state)
    }

    public func restoreState(of connection: Connection, from reader: inout StateReader) throws -> State {
        try reader.read()
    }
}

extension HandoverHandler where State == Void {
    public func save(_ state: Void, of connection: Connection, into writer: inout StateWriter) throws {}
    public func restoreState(of connection: Connection, from reader: inout StateReader) throws {}
}

// MARK: - From the ABI's callbacks to the author's

extension HandoverHandler {
    public static var _handover: Handover? { handover }
    public static var _types: [Any.Type] { [Self.self, State.self, Upgrade<State>.self, Snapshot.self] }

    public func _onSave(_ writer: inout StateWriter) { writer.write(snapshot()) }

    public func _onRestore(_ reader: inout StateReader) throws {
        let snapshot = try reader.read(Snapshot.self)
        try Self.handover.finish(reader)
        try restore(snapshot)
    }

    public func _onSave(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ writer: inout StateWriter
    ) throws {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else {
            throw StateError.malformed("\(State.self)")
        }
        try unsafe save(state.pointee, of: connection, into: &writer)
    }

    public func _onRestore(
        _ connection: Connection, _ reader: inout StateReader
    ) throws -> UnsafeMutableRawPointer? {
        var state = try restoreState(of: connection, from: &reader)
        try Self.handover.finish(reader)
        try reader.isCheckpoint ? recovered(connection, &state) : restored(connection, &state)
        return unsafe StateSlot<State>.allocate(state)
    }
}
