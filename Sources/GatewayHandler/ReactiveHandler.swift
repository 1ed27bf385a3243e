/// The reactive flavour: a method per event, nothing kept per connection.
///
///     import GatewayHandler
///
///     final class Echo: ReactiveHandler {
///         init(_ context: borrowing StartContext) {}
///
///         func message(_ connection: Connection, _ message: borrowing Message) {
///             connection.send(message)
///         }
///     }
///
///     @c @implementation
///     public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
///         Module.export(Echo.self, to: host)
///     }
///
/// Only `init` and `message` must be written. Add `RequestHandler`, `FragmentHandler`, `PingHandler`, `PongHandler` or
/// `DrainHandler` to the list of protocols for those events; without them the gateway does its default at no cost.
/// Handlers that keep something per connection are written on `StatefulHandler`.
public protocol ReactiveHandler: StatefulHandler where State == Void {
    /// Whether a client may connect; by default everyone may.
    func upgrade(_ request: borrowing Request) throws -> Upgrade<Void>

    /// The connection is open: sending works. Always followed by one `closed`.
    func opened(_ connection: Connection, _ request: borrowing Request) throws

    /// A whole message came in.
    func message(_ connection: Connection, _ message: borrowing Message) throws

    /// Something went wrong on the connection; it is being closed.
    func failed(_ connection: Connection, _ failure: Failure)

    /// The last event of a connection.
    func closed(_ connection: Connection, _ event: CloseEvent)
}

extension ReactiveHandler {
    public func upgrade(_ request: borrowing Request) throws -> Upgrade<Void> { .accept() }
    public func opened(_ connection: Connection, _ request: borrowing Request) throws {}
    public func failed(_ connection: Connection, _ failure: Failure) {}
    public func closed(_ connection: Connection, _ event: CloseEvent) {}

    @inlinable
    public func opened(_ connection: Connection, _ request: borrowing Request, _ state: inout Void) throws {
        try opened(connection, request)
    }

    @inlinable
    public func message(_ connection: Connection, _ message: borrowing Message, _ state: inout Void) throws {
        try self.message(connection, message)
    }

    @inlinable
    public func failed(_ connection: Connection, _ failure: Failure, _ state: inout Void) {
        failed(connection, failure)
    }

    @inlinable
    public func closed(_ connection: Connection, _ event: CloseEvent, _ state: inout Void) {
        closed(connection, event)
    }
}
