/// The functional flavour: a handler made of closures.
///
///     @c @implementation
///     public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
///         Module.export(
///             Functional(Manifest(name: "counter")) { context in context.gateway } upgrade: { _, _ in .accept(0) }
///                 .onMessage { gateway, connection, message, count in
///                     count += 1
///                     connection.send("\(count)")
///                 },
///             to: host)
///     }
///
/// `Shared` is what all connections of a route have in common, made when the route is started; it is given first to
/// every closure. `State` is what is kept per connection, lent to every closure last. Neither is needed: `Functional`
/// with a manifest alone has `Void` for both. What holds for the methods of `StatefulHandler` and of the protocols
/// beside it holds for the closures of the same names; an event without a closure costs nothing.
public struct Functional<Shared: Sendable, State>: Sendable {
    /// Something that happens to a connection and needs no more to be said.
    public typealias Event = @Sendable (Shared, Connection, inout State) throws -> Void
    /// A message or a piece of one.
    public typealias MessageEvent = @Sendable (Shared, Connection, borrowing Message, inout State) throws -> Void
    /// A ping or a pong.
    public typealias PayloadEvent = @Sendable (Shared, Connection, RawSpan, inout State) throws -> Void

    let manifest: Manifest
    let start: @Sendable (borrowing StartContext) throws -> Shared
    let upgrade: @Sendable (Shared, borrowing Request) throws -> Upgrade<State>
    var takes: OptionalEvents = []
    var stop: (@Sendable (Shared) -> Void)?
    var opened: (@Sendable (Shared, Connection, borrowing Request, inout State) throws -> Void)?
    var message: MessageEvent?
    var fragment: MessageEvent?
    var ping: PayloadEvent?
    var pong: PayloadEvent?
    var drained: Event?
    var failed: (@Sendable (Shared, Connection, Failure, inout State) -> Void)?
    var closed: (@Sendable (Shared, Connection, CloseEvent, inout State) -> Void)?
    var request: (@Sendable (Shared, borrowing Request) throws -> Response?)?
    var reloadPending: (@Sendable (Shared) -> Void)?
    var gap: (@Sendable (Shared, String?) -> Void)?
    var saving: Saving?

    /// How state is handed over.
    struct Saving: Sendable {
        let handover: Handover
        let save: @Sendable (Shared, inout StateWriter) -> Void
        let restore: @Sendable (Shared, inout StateReader) throws -> Void
        let saveState: @Sendable (State, inout StateWriter) -> Void
        let restoreState: @Sendable (Shared, Connection, inout StateReader) throws -> State
    }

    /// A handler with something for all connections of a route and something for each of them.
    public init(
        _ manifest: Manifest, start: @escaping @Sendable (borrowing StartContext) throws -> Shared,
        upgrade: @escaping @Sendable (Shared, borrowing Request) throws -> Upgrade<State>
    ) {
        self.manifest = manifest
        self.start = start
        self.upgrade = upgrade
    }

    var handlerDescription: HandlerDescription {
        // A closure may have captured anything, so nothing is taken for granted: `stateless` is the author's to say.
        HandlerDescription(
            handler: FunctionalHandler<Shared, State>.self, manifest: manifest, takes: takes,
            handover: saving?.handover, keepsNothing: false, events: self)
    }

    private func with(_ event: OptionalEvents = [], _ change: (inout Functional) -> Void) -> Functional {
        var copy = self
        copy.takes.formUnion(event)
        change(&copy)
        return copy
    }
}

extension Functional where State == Void {
    /// A handler that keeps nothing per connection.
    public init(_ manifest: Manifest, start: @escaping @Sendable (borrowing StartContext) throws -> Shared) {
        self.init(manifest, start: start) { _, _ in .accept() }
    }
}

extension Functional where Shared == Void, State == Void {
    /// A handler that keeps nothing.
    public init(_ manifest: Manifest) {
        self.init(manifest) { _ in }
    }
}

// MARK: - Events

extension Functional {
    /// The connection is open: sending works. Always followed by one `closed`.
    public func onOpened(
        _ body: @escaping @Sendable (Shared, Connection, borrowing Request, inout State) throws -> Void
    ) -> Functional { with { $0.opened = body } }

    /// A whole message came in.
    public func onMessage(_ body: @escaping MessageEvent) -> Functional { with { $0.message = body } }

    /// A piece of a message came in; whole messages are not given any more.
    public func onFragment(_ body: @escaping MessageEvent) -> Functional { with(.fragments) { $0.fragment = body } }

    /// A ping came in; it is answered already, unless the manifest says `manualPong`.
    public func onPing(_ body: @escaping PayloadEvent) -> Functional { with(.pings) { $0.ping = body } }

    /// A pong came in.
    public func onPong(_ body: @escaping PayloadEvent) -> Functional { with(.pongs) { $0.pong = body } }

    /// A connection that answered `backpressure` takes messages again.
    public func onDrained(_ body: @escaping Event) -> Functional { with(.drained) { $0.drained = body } }

    /// Something went wrong on the connection; it is being closed.
    public func onFailed(
        _ body: @escaping @Sendable (Shared, Connection, Failure, inout State) -> Void
    ) -> Functional { with { $0.failed = body } }

    /// The last event of a connection.
    public func onClosed(
        _ body: @escaping @Sendable (Shared, Connection, CloseEvent, inout State) -> Void
    ) -> Functional { with { $0.closed = body } }

    /// A plain HTTP request on the handler's path.
    public func onRequest(
        _ body: @escaping @Sendable (Shared, borrowing Request) throws -> Response?
    ) -> Functional { with(.requests) { $0.request = body } }

    /// The route is not served any more: every connection has been closed.
    public func onStop(_ body: @escaping @Sendable (Shared) -> Void) -> Functional { with { $0.stop = body } }

    /// A newer generation has been started; see `ReloadHandler`.
    public func onReloadPending(_ body: @escaping @Sendable (Shared) -> Void) -> Functional {
        with { $0.reloadPending = body }
    }

    /// Members here of a topic, or of any, may have missed what other gateways published; see `GapHandler`.
    public func onGap(_ body: @escaping @Sendable (Shared, String?) -> Void) -> Functional { with { $0.gap = body } }
}

extension Functional where State: StateValue {
    /// Hands state over in a reload; see `HandoverHandler` for what each closure does.
    public func handsOver<Snapshot: StateValue>(
        _ handover: Handover, snapshot: @escaping @Sendable (Shared) -> Snapshot,
        restore: @escaping @Sendable (Shared, Snapshot) throws -> Void,
        restored: @escaping Event = { _, _, _ in }, recovered: Event? = nil
    ) -> Functional {
        with {
            $0.saving = Saving(
                handover: handover,
                save: { $1.write(snapshot($0)) },
                restore: { shared, reader in
                    let saved = try reader.read(Snapshot.self)
                    try handover.finish(reader)
                    try restore(shared, saved)
                },
                saveState: { $1.write($0) },
                restoreState: { shared, connection, reader in
                    var state = try reader.read(State.self)
                    try handover.finish(reader)
                    let event = reader.isCheckpoint ? recovered ?? restored : restored
                    try event(shared, connection, &state)
                    return state
                })
        }
    }
}
