package import GatewayHandler

/// The members, the number of the next one, and what was said last.
///
/// A reload copies the room while the old generation still serves, and for a while there are two of it. Clients do not
/// notice, because
/// - lines go out under a topic, which belongs to the route: a member of either generation is heard by all
///   members of both, once. A gateway without topics takes the members one by one; both rooms know all who were in at
///   the copy by numbers that mean the same connections in both. Only a member that joined the new room is not heard of
///   by one that is still in the old, for the milliseconds until that one has moved;
/// - a member that joins the old room after the copy is numbered far from where the new one counts on, and keeps the
///   number;
/// - a member that leaves is taken out by the room that serves it then. To the other one it is a connection that is
///   `closed` for ever: harmless, and forgotten when that is noticed.
package struct Room: StateValue {
    private static let lines: Topic = "lines"
    /// More than could join while connections move. A reload that fails costs as many numbers if a member joins then.
    private static let leap: UInt64 = 1_000_000

    private var members: Set<Connection> = []
    private var next: UInt64 = 0
    private var history: [String] = []
    /// Where the next generation counts on, from when a reload was announced.
    private var handedOn: UInt64?
    private let historyLimit: Int

    init(historyLimit: Int) { self.historyLimit = historyLimit }

    mutating func join(_ connection: Connection) -> UInt64 {
        if next == handedOn { next &+= Self.leap }
        defer { next &+= 1 }
        members.insert(connection)
        connection.subscribe(to: Self.lines)
        for line in history { connection.send(line) }
        return next
    }

    mutating func leave(_ connection: Connection) {
        members.remove(connection)
    }

    /// Says a line to all members; under the room's lock, so that the history agrees with what was said. What one member
    /// says is heard in that order; members of different threads may hear what two say in different ones.
    ///
    /// Sending never blocks and never calls back. A member whose connection has just ended, or that reads too slowly, is
    /// the gateway's business (`slow_consumer`); the others hear the line regardless.
    mutating func relay(_ line: String, through gateway: Gateway) {
        if historyLimit > 0 {
            history.append(line)
            forget()
        }
        guard gateway.publish(line, to: Self.lines).result == .unsupported else { return }
        for member in members where member.send(line) == .closed { members.remove(member) }
    }

    private mutating func forget() {
        history.removeFirst(max(0, history.count - historyLimit))
    }
}

// MARK: - From one generation to the next

extension Room {
    /// A copy is about to be taken: newcomers keep out of the way of those the next generation numbers.
    mutating func expectCopy() { handedOn = next }

    /// Goes on where another generation's room was when it was copied.
    mutating func take(over room: Room) {
        members.formUnion(room.members)
        next = max(next, room.next)
        history = room.history
        forget()
        handedOn = nil
    }

    /// A member has moved here; one that joined the old room after the copy is new to this one.
    mutating func rejoin(_ connection: Connection, _ number: UInt64) {
        members.insert(connection)
        next = max(next, number &+ 1)
    }

    package init(from reader: inout StateReader) throws {
        members = try reader.read()
        next = try reader.read()
        history = try reader.read()
        historyLimit = history.count
    }

    package func encode(into writer: inout StateWriter) {
        writer.write(members.filter(\.isOpen))
        writer.write(handedOn ?? next)
        writer.write(history)
    }
}
