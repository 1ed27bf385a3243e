// What `Connection` can do later, with the socket given to the closure: closures that come later may run on another
// thread than this one for all the compiler knows, so they cannot take the socket along by themselves.
extension Socket {
    /// `Connection.post`, with the socket.
    @discardableResult
    public func post(_ body: @escaping @Sendable (Socket) throws -> Void) -> Bool {
        connection.post(with: Socket?.self) { _, socket in try socket.map(body) }
    }

    /// `Connection.after`, with the socket.
    @discardableResult
    public func after(_ delay: Duration, _ body: @escaping @Sendable (Socket) throws -> Void) -> TimerHandle {
        connection.after(delay, with: Socket?.self) { _, socket in try socket.map(body) }
    }

    /// `Connection.every`, with the socket.
    @discardableResult
    public func every(_ interval: Duration, _ body: @escaping @Sendable (Socket) throws -> Void) -> TimerHandle {
        connection.every(interval, with: Socket?.self) { _, socket in try socket.map(body) }
    }

    /// `Connection.offload`, with the socket for `then`.
    public func offload<Value: Sendable>(
        _ work: @escaping @Sendable (Cancellation) throws -> Value,
        then: @escaping @Sendable (Socket, Value) throws -> Void
    ) throws(OffloadRefused) {
        try connection.offload(with: Socket?.self, work) { _, value, socket in
            if let socket { try then(socket, value) }
        }
    }
}
