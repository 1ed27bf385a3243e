public import CGatewayABI

/// The reactive flavour with a `State` per connection: made by `upgrade`, lent to every callback, freed after `closed`.
///
///     final class Counter: StatefulHandler {
///         init(_ context: borrowing StartContext) {}
///
///         func upgrade(_ request: borrowing Request) -> Upgrade<Int> { .accept(0) }
///
///         func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) {
///             count += 1
///             connection.send("\(count)")
///         }
///     }
///
/// Callbacks of one connection come in order and never two at once, so `inout` is all the protection a state needs.
/// An error thrown by a callback is logged, given to `failed`, and closes that connection with 1011, or as
/// `ClosingError` says; other connections do not notice.
public protocol StatefulHandler: Handler {
    /// What is kept per connection: a struct, a class, anything. Allocated once, freed once.
    associatedtype State

    /// Whether a client may connect, and what is kept of it. An error that is thrown is answered 500.
    func upgrade(_ request: borrowing Request) throws -> Upgrade<State>

    /// The connection is open: sending works. Always followed by one `closed`.
    func opened(_ connection: Connection, _ request: borrowing Request, _ state: inout State) throws

    /// A whole message came in.
    func message(_ connection: Connection, _ message: borrowing Message, _ state: inout State) throws

    /// Something went wrong on the connection; it is being closed.
    func failed(_ connection: Connection, _ failure: Failure, _ state: inout State)

    /// The last event of a connection; its state is freed afterwards.
    func closed(_ connection: Connection, _ event: CloseEvent, _ state: inout State)
}

extension StatefulHandler {
    public func opened(_ connection: Connection, _ request: borrowing Request, _ state: inout State) throws {}
    public func failed(_ connection: Connection, _ failure: Failure, _ state: inout State) {}
    public func closed(_ connection: Connection, _ event: CloseEvent, _ state: inout State) {}
}

// MARK: - From the ABI's callbacks to the author's

extension StatefulHandler {
    public static var _hasState: Bool { !StateSlot<State>.isEmpty }

    /// Neither in a `State` nor in a property of its own is there room for anything.
    public static var _keepsNothing: Bool {
        !_hasState && _handover == nil && Statelessness.hasNoProperties(Self.self)
    }

    public static var _types: [Any.Type] { [Self.self, State.self, Upgrade<State>.self] }

    public func _onUpgrade(_ request: borrowing Request) -> gw_status {
        let answer: Upgrade<State>.Answer
        do {
            answer = try upgrade(request).answer
        } catch {
            request.host.log(0, .error, "upgrade threw: \(error)")
            return gw_status(GW_E_FAILED)
        }
        // Nothing to say beyond yes: the return value says it.
        if case .accept(_, subprotocol: nil, let headers) = answer, !Self._hasState, headers.isEmpty {
            return gw_status(GW_OK)
        }
        return refused(answer.send(to: request.ticket, request.host), "the answer to an upgrade", request.host)
    }

    @inlinable
    public func _onOpen(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ request: borrowing Request) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe opened(connection, request, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "opened", &state.pointee)
        }
    }

    @inlinable
    public func _onMessage(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ message: borrowing Message) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe self.message(connection, message, &state.pointee)
        } catch {
            unsafe _fail(connection, error, "message", &state.pointee)
        }
    }

    public func _onError(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ failure: Failure) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        unsafe failed(connection, failure, &state.pointee)
    }

    public func _onClose(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ event: CloseEvent) {
        guard let found = unsafe StateSlot<State>.find(state, of: connection) else { return }
        unsafe closed(connection, event, &found.pointee)
        unsafe StateSlot<State>.free(state)
    }

    public func _onPendingClosure(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ closure: _PendingClosure
    ) {
        guard let state = unsafe StateSlot<State>.find(state, of: connection) else { return }
        do {
            try unsafe closure.body(connection, StatePointer(state))
        } catch {
            unsafe _fail(connection, error, closure.name, &state.pointee)
        }
    }

    public func _onDrop(_ state: UnsafeMutableRawPointer?) {
        unsafe StateSlot<State>.free(state)
    }

    /// What becomes of an error an author's callback threw: the log, 1011 for that connection alone, and `failed`.
    public func _fail(_ connection: Connection, _ error: any Error, _ callback: StaticString, _ state: inout State) {
        connection.end(over: error, from: callback)
        failed(connection, .thrown(error), &state)
    }
}

extension Upgrade.Answer {
    /// Answers the handshake that holds `ticket`.
    func send(to ticket: gw_ticket, _ host: Host) -> gw_status {
        switch self {
        case .accept(let state, let subprotocol, let headers):
            let kept = unsafe StateSlot<State>.allocate(state)
            let reply = Reply(status: 101, subprotocol: subprotocol, headers: headers)
            let status = unsafe reply.send(to: ticket, host, state: kept)
            // A reply that was refused did not take the state over: there will be no close() to free it in.
            if status < 0 { unsafe StateSlot<State>.free(kept) }
            return status
        case .reject(let response): return unsafe response.reply.send(to: ticket, host)
        case .later: return gw_status(GW_DEFER)
        }
    }
}

extension Response {
    var reply: Reply { Reply(status: statusOnTheWire, headers: headers, body: body) }

    /// Sends the response as the answer to `request`; what the callback shall return.
    func send(as what: StaticString, to request: borrowing Request) -> gw_status {
        if isLater { return gw_status(GW_DEFER) }
        return refused(unsafe reply.send(to: request.ticket, request.host), what, request.host)
    }
}

/// Says in the log that the gateway refused an answer: a header with a line break, a subprotocol that was not offered.
func refused(_ status: gw_status, _ what: StaticString, _ host: Host) -> gw_status {
    if status < 0 {
        host.log(0, .error, "\(what) was refused by the gateway (status \(status))")
        return gw_status(GW_E_FAILED)
    }
    return gw_status(GW_DEFER)
}
