public import CGatewayABI

/// The imperative flavour: one asynchronous function per connection, with the loop written out.
///
///     final class Echo: ImperativeHandler {
///         init(_ context: borrowing StartContext) {}
///
///         func run(_ session: Session) async throws {
///             for try await frame in session.frames { session.send(frame) }
///         }
///     }
///
/// What is kept per connection are the variables of `run`. It runs on the event loop of its connection: see `Session`
/// for what that means. When it returns, the connection is closed with 1000; when it throws, with 1011. When the
/// connection ends first, its frames end and its task is cancelled; what it does then is waited for before the instance
/// is stopped. A running function cannot be handed over, so on a reload connections end on the generation they began
/// with; `Session.isDraining` tells.
public protocol ImperativeHandler: Handler {
    /// Whether a client may connect; by default everyone may.
    func upgrade(_ request: borrowing Request) throws -> Upgrade<Void>

    /// Serves a connection from its beginning to its end.
    func run(_ session: Session) async throws
}

extension ImperativeHandler {
    public func upgrade(_ request: borrowing Request) throws -> Upgrade<Void> { .accept() }
}

// MARK: - From the ABI's callbacks to the author's

extension ImperativeHandler {
    public static var _hasState: Bool { true }
    public static var _keepsNothing: Bool { false }
    public static var _types: [Any.Type] { [Self.self, Session.self, Frame.self, ConnectionLost.self] }
    public static var _takesDrained: Bool { true }
    public static var _takesPings: Bool { manifest.options.contains(.manualPong) }

    public func _onUpgrade(_ request: borrowing Request) -> gw_status {
        let answer: Upgrade<Void>.Answer
        do {
            answer = try upgrade(request).answer
        } catch {
            request.host.log(0, .error, "upgrade threw: \(error)")
            return gw_status(GW_E_FAILED)
        }
        if case .accept(_, subprotocol: nil, let headers) = answer, headers.isEmpty { return gw_status(GW_OK) }
        return refused(answer.send(to: request.ticket, request.host), "the answer to an upgrade", request.host)
    }

    public func _onOpen(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ request: borrowing Request) {
        let session = Session(connection, ConnectionInfo(request))
        let owner = unsafe Unmanaged.passRetained(session)
        let host = connection.host
        guard let keep = unsafe host.table.pointee.conn_set_state,
            unsafe keep(host.table, connection.id, owner.toOpaque()) >= 0
        else {
            unsafe owner.release()
            return StateSlot<Session>.lost(connection)
        }
        session.start { [self] in
            await serve(session)
            session.finish()
        }
    }

    private func serve(_ session: Session) async {
        let connection = session.connection
        do {
            try await run(session)
            connection.close()
        } catch {
            // Whatever it was doing was cut short by the end of the connection.
            if session.closeEvent != nil { return connection.log(.debug, "run ended: \(error)") }
            connection.end(over: error, from: "run")
        }
    }

    @inline(__always)
    private func withSession(_ state: UnsafeMutableRawPointer?, _ connection: Connection, _ body: (Session) -> Void) {
        guard let state = unsafe state else { return StateSlot<Session>.lost(connection) }
        unsafe Unmanaged<Session>.fromOpaque(state)._withUnsafeGuaranteedRef(body)
    }

    public func _onMessage(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ message: borrowing Message) {
        let frame = Frame(message.kind == .text ? .text : .binary, message.copyBytes())
        let turn = message.receivedAt
        unsafe withSession(state, connection) { $0.deliver(frame, at: turn) }
    }

    public func _onPing(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ payload: RawSpan) {
        let frame = unsafe Frame(.ping, payload.withUnsafeBytes { unsafe [UInt8]($0) })
        unsafe withSession(state, connection) { $0.deliver(frame, at: .zero) }
    }

    public func _onDrained(_ connection: Connection, _ state: UnsafeMutableRawPointer?) {
        unsafe withSession(state, connection) { $0.drained() }
    }

    public func _onError(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ failure: Failure) {}

    public func _onWake(_ state: UnsafeMutableRawPointer?) {
        guard let state = unsafe state else { return }
        unsafe Unmanaged<Session>.fromOpaque(state)._withUnsafeGuaranteedRef { $0.wakeReader() }
    }

    public func _onPendingClosure(
        _ connection: Connection, _ state: UnsafeMutableRawPointer?, _ closure: _PendingClosure
    ) {
        unsafe withSession(state, connection) { session in
            session.executor.callback {
                var nothing: Void = ()
                do {
                    try unsafe withUnsafeMutablePointer(to: &nothing) {
                        try unsafe closure.body(connection, StatePointer($0))
                    }
                } catch {
                    connection.end(over: error, from: closure.name)
                }
            }
        }
    }

    public func _onClose(_ connection: Connection, _ state: UnsafeMutableRawPointer?, _ event: CloseEvent) {
        unsafe withSession(state, connection) { $0.close(event) }
        unsafe _onDrop(state)
    }

    public func _onDrop(_ state: UnsafeMutableRawPointer?) {
        if let state = unsafe state { unsafe Unmanaged<Session>.fromOpaque(state).release() }
    }
}
