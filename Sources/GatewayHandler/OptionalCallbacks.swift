public import CGatewayABI

// Events whose absence is a behaviour of its own in gw_handler.h. Conforming is what subscribes; a method
// of the same name without the conformance is never called.

/// Answers plain HTTP requests on the handler's path; without it they get 400 `not-a-websocket-request`.
public protocol RequestHandler: Handler {
    /// The answer; `nil` is 404, an error that is thrown 500.
    func respond(to request: borrowing Request) throws -> Response?
}

extension RequestHandler {
    public static var _takesRequests: Bool { true }

    public func _onRequest(_ request: borrowing Request) -> gw_status {
        do {
            guard let response = try respond(to: request) else { return gw_status(GW_REJECT) }
            return response.send(as: "the answer to a request", to: request)
        } catch {
            request.host.log(0, .error, "respond threw: \(error)")
            return gw_status(GW_E_FAILED)
        }
    }
}

/// Takes messages piece by piece as they arrive, instead of `message`, which is not called any more.
public protocol FragmentHandler: StatefulHandler {
    /// A piece of a message, from one with `isFirst` to one with `isFinal`. Pieces of text are valid UTF-8 each.
    func fragment(_ connection: Connection, _ fragment: borrowing Message, _ state: inout State) throws
}

extension FragmentHandler {
    public static var _takesFragments: Bool { true }

    @inlinable
    public func _onFragment(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ fragment: borrowing Message
    ) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe self.fragment(connection, fragment, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "fragment", &state.pointee)
        }
    }

    /// Whole messages do not come while pieces do.
    public func message(_ connection: Connection, _ message: borrowing Message, _ state: inout State) throws {}
}

extension FragmentHandler where Self: ReactiveHandler {
    /// Whole messages do not come while pieces do.
    public func message(_ connection: Connection, _ message: borrowing Message) throws {}
    /// Whole messages do not come while pieces do.
    public func message(_ connection: Connection, _ message: borrowing Message, _ state: inout Void) throws {}
}

/// Hears pings. They have been answered already, unless the manifest says `manualPong`.
public protocol PingHandler: StatefulHandler {
    /// A ping came in, with at most 125 bytes.
    func ping(_ connection: Connection, _ payload: RawSpan, _ state: inout State) throws
}

extension PingHandler {
    public static var _takesPings: Bool { true }

    public func _onPing(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe ping(connection, payload, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "ping", &state.pointee)
        }
    }
}

/// Hears pongs: answers to `Connection.ping` and unasked ones.
public protocol PongHandler: StatefulHandler {
    /// A pong came in, with at most 125 bytes.
    func pong(_ connection: Connection, _ payload: RawSpan, _ state: inout State) throws
}

extension PongHandler {
    public static var _takesPongs: Bool { true }

    public func _onPong(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe pong(connection, payload, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "pong", &state.pointee)
        }
    }
}

/// Hears that a connection which answered `backpressure` takes messages again.
public protocol DrainHandler: StatefulHandler {
    /// The queue is below its low-water mark again; once per stretch of `backpressure`.
    func drained(_ connection: Connection, _ state: inout State) throws
}

extension DrainHandler {
    public static var _takesDrained: Bool { true }

    public func _onDrained(_ connection: Connection, _ state: UnsafeMutableRawPointer?) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe drained(connection, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "drained", &state.pointee)
        }
    }
}
