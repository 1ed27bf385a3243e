internal import CGatewayABI

/// The closures of a `Functional` at work for one route.
final class FunctionalHandler<Shared: Sendable, State>: StatefulHandler {
    private let shared: Shared
    private let events: Functional<Shared, State>

    init(_ context: borrowing StartContext) throws {
        guard let events = context.events as? Functional<Shared, State> else {
            throw StateError.malformed("\(Functional<Shared, State>.self)")
        }
        self.events = events
        shared = try events.start(context)
    }

    func stop() { events.stop?(shared) }

    func upgrade(_ request: borrowing Request) throws -> Upgrade<State> { try events.upgrade(shared, request) }

    func opened(_ connection: Connection, _ request: borrowing Request, _ state: inout State) throws {
        try events.opened?(shared, connection, request, &state)
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ state: inout State) throws {
        try events.message?(shared, connection, message, &state)
    }

    func failed(_ connection: Connection, _ failure: Failure, _ state: inout State) {
        events.failed?(shared, connection, failure, &state)
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ state: inout State) {
        events.closed?(shared, connection, event, &state)
    }
}

extension FunctionalHandler: FragmentHandler, PingHandler, PongHandler, DrainHandler, RequestHandler, ReloadHandler,
    GapHandler
{
    func fragment(_ connection: Connection, _ fragment: borrowing Message, _ state: inout State) throws {
        try events.fragment?(shared, connection, fragment, &state)
    }

    func ping(_ connection: Connection, _ payload: RawSpan, _ state: inout State) throws {
        try events.ping?(shared, connection, payload, &state)
    }

    func pong(_ connection: Connection, _ payload: RawSpan, _ state: inout State) throws {
        try events.pong?(shared, connection, payload, &state)
    }

    func drained(_ connection: Connection, _ state: inout State) throws {
        try events.drained?(shared, connection, &state)
    }

    func respond(to request: borrowing Request) throws -> Response? { try events.request?(shared, request) }

    func reloadPending() { events.reloadPending?(shared) }

    func gap(in topic: String?) { events.gap?(shared, topic) }
}

// Written as callbacks and not as a HandoverHandler, which would want every `State` to be a `StateValue`.
extension FunctionalHandler {
    func _onSave(_ writer: inout StateWriter) { events.saving?.save(shared, &writer) }

    func _onRestore(_ reader: inout StateReader) throws { try events.saving?.restore(shared, &reader) }

    func _onSave(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ writer: inout StateWriter) throws {
        guard let saving = events.saving, let state = unsafe StateSlot<State>.find(state, of: connection) else {
            throw StateError.malformed("\(State.self)")
        }
        unsafe saving.saveState(state.pointee, &writer)
    }

    func _onRestore(_ connection: Connection, _ reader: inout StateReader) throws -> UnsafeMutableRawPointer? {
        guard let saving = events.saving else { throw StateError.otherFormat }
        return unsafe StateSlot<State>.allocate(try saving.restoreState(shared, connection, &reader))
    }
}
