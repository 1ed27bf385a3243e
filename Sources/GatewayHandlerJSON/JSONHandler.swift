public import GatewayHandler

/// A handler whose messages are values in JSON.
///
///     final class Calculator: JSONHandler {
///         struct Sum: Decodable { var a, b: Int }
///
///         init(_ context: borrowing StartContext) {}
///
///         func upgrade(_ request: borrowing Request) -> Upgrade<Void> { .accept() }
///
///         func received(_ sum: Sum, _ connection: Connection, _ state: inout Void) throws {
///             try connection.send(json: sum.a + sum.b)
///         }
///     }
///
/// A text that is no JSON, or no such value, closes the connection with 1007 and says in the reason what is wrong with
/// it; binary closes it with 1003.
public protocol JSONHandler: StatefulHandler {
    /// What clients say.
    associatedtype Incoming: Decodable

    /// A whole message came in and was understood.
    func received(_ value: Incoming, _ connection: Connection, _ state: inout State) throws
}

extension JSONHandler {
    public func message(_ connection: Connection, _ message: borrowing Message, _ state: inout State) throws {
        try received(try message.decode(Incoming.self), connection, &state)
    }
}
