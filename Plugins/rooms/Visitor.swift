import GatewayHandler

/// The client at the other end of a connection, and its room.
struct Visitor: StateValue {
    let room: String
    let name: String

    /// Under which the lines of the room go out.
    var topic: Topic { Topic(room) }

    init(room: String, name: String) {
        self.room = room
        self.name = name
    }

    init(from reader: inout StateReader) throws {
        room = try reader.read()
        name = try reader.read()
    }

    func encode(into writer: inout StateWriter) {
        writer.write(room)
        writer.write(name)
    }
}
