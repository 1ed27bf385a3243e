import GatewayHandler

/// What was said last in each room.
struct Archive {
    /// Clients make rooms by naming them, so there is a limit; beyond it some room is forgotten.
    private static let mostRooms = 100

    private let limit: Int
    private(set) var lines: [String: [String]] = [:]

    /// The lines that the next generation gets to know, from when a reload was announced.
    private(set) var handedOn: [String: [String]]?
    /// What was said after that, by whom: it goes to the next generation with its speaker, so that nothing is lost.
    var late: [Connection: [String]] = [:]

    init(limit: Int) { self.limit = limit }

    /// Keeps a line.
    mutating func add(_ line: String, in room: String, by speaker: Connection) {
        add([line], in: room)
        if handedOn != nil { late[speaker] = ((late[speaker] ?? []) + [line]).suffix(limit) }
    }

    /// Keeps lines.
    mutating func add(_ more: [String], in room: String) {
        guard limit > 0, !more.isEmpty else { return }
        if lines[room] == nil, lines.count >= Self.mostRooms { lines.remove(at: lines.startIndex) }
        lines[room] = ((lines[room] ?? []) + more).suffix(limit)
    }

    /// A reload begins; it may still fail, and then the next one begins anew.
    mutating func handOn() {
        handedOn = lines
        late = [:]
    }
}
