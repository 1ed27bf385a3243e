public import GatewayHandler

/// Takes files of any size and never holds more of one than the piece that has just come in.
///
/// Each message is a file. Its pieces go to disk on the gateway's pool, since disks block, and until one is written
/// nothing more is read: a client that is faster than the disk is slowed down by TCP. `max_message` of the route is the
/// limit. Each MiB is reported as `received N`, the end as `stored NAME N`; the name is ours and never the client's, so
/// no path can be smuggled in. What is not finished leaves nothing behind.
final class Upload: StatefulHandler, FragmentHandler, HandoverHandler {
    static let handover = Handover("gateway upload")
    private static let reportEvery = 1 << 20
    private let gateway: Gateway
    private let directory: String

    init(_ context: borrowing StartContext) throws {
        gateway = context.gateway
        directory = context.path("directory") ?? "uploads"
        try PartialFile.prepare(directory)
    }

    func upgrade(_ request: borrowing Request) -> Upgrade<Sender> { .accept(Sender(uuid: request.uuid)) }

    func fragment(_ connection: Connection, _ piece: borrowing Message, _ sender: inout Sender) throws {
        if piece.isFirst { sender.begin() }
        let name = "\(sender.uuid)-\(sender.files)"
        let (bytes, isFinal, file, directory) = (piece.copyBytes(), piece.isFinal, sender.file, directory)
        connection.setReading(false)
        try offload(for: connection) { _ in
            let file = try file ?? PartialFile(name, in: directory)
            try file.append(bytes)
            if isFinal { try file.finish() }
            return file
        } then: { connection, file, sender in
            let before = sender.bytes
            sender.bytes += bytes.count
            sender.file = isFinal ? nil : file
            if isFinal {
                connection.send("stored \(name) \(sender.bytes)")
            } else if before / Self.reportEvery < sender.bytes / Self.reportEvery {
                connection.send("received \(sender.bytes)")
            }
            connection.setReading(true)
        }
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ sender: inout Sender) {
        // Freeing a large file takes its time, too. Without the pool it is done when the last reference goes.
        guard let file = sender.file else { return }
        do {
            try gateway.offload { _ in file.discard() }
        } catch {
            connection.log(.warning, "\(error)")
        }
    }
}

/// A client that uploads. A connection only moves to another generation between two messages, when there is no file.
struct Sender: StateValue {
    let uuid: ConnectionUUID
    /// How many were begun.
    private(set) var files: UInt64 = 0
    /// Of the file that is coming in.
    var bytes = 0
    var file: PartialFile?

    init(uuid: ConnectionUUID) { self.uuid = uuid }

    mutating func begin() {
        files &+= 1
        bytes = 0
    }

    init(from reader: inout StateReader) throws {
        uuid = try reader.read()
        files = try reader.read()
    }

    func encode(into writer: inout StateWriter) {
        writer.write(uuid)
        writer.write(files)
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Upload.self, to: host)
}
