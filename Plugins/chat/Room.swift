import GatewayHandler

/// Who is in, and the number of who comes next.
struct Room {
    private var members: Set<Connection> = []
    private var next: UInt64 = 0

    mutating func join(_ connection: Connection) -> UInt64 {
        defer { next &+= 1 }
        members.insert(connection)
        return next
    }

    mutating func leave(_ connection: Connection) {
        members.remove(connection)
    }

    /// Says a line to everybody; under the room's lock, so that everybody sees all lines in the same order.
    ///
    /// Sending never blocks and never calls back. A member whose connection has just ended, or who reads too slowly, is
    /// the gateway's business (`slow_consumer`); the others hear the line regardless.
    func relay(_ line: String) {
        for member in members { member.send(line) }
    }
}
