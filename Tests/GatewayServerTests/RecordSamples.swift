import GatewayIO
import Testing
import WebSocket

@testable import GatewayServer

/// Records of connections, right ones and wrong ones.
enum RecordSamples {
    static var all: [ConnectionRecord] { [open(), head(), away(), closing(), stateless()] }

    /// One that is open and has all that one can have.
    static func open() -> ConnectionRecord {
        var record = ConnectionRecord()
        (record.id, record.phase) = (0x0100_0002_0000_0005, .open)
        record.peer = peer()
        record.input = input()
        record.output = output()
        record.compression = compression()
        record.traffic = traffic()
        record.times = times()
        record.route = route()
        record.handler = handler()
        (record.ending.code, record.ending.by, record.ending.osError) = (1000, 3, 104)
        record.ending.reason = Array("bye".utf8)
        return record
    }

    static func head() -> ConnectionRecord {
        var record = ConnectionRecord()
        record.id = 1
        record.peer = peer()
        record.input.leftover = Array("GET / HT".utf8)
        record.times.deadlineIn = 0
        return record
    }

    static func away() -> ConnectionRecord {
        var record = head()
        record.input.leftover = []
        record.away = AwayRecord(route: "/chat", handler: "chat", given: [1, 2, 3])
        return record
    }

    static func closing() -> ConnectionRecord {
        var record = open()
        (record.phase, record.handler) = (.closing, nil)
        record.input.queued = []
        return record
    }

    static func stateless() -> ConnectionRecord {
        var record = ConnectionRecord()
        (record.id, record.phase, record.handler) = (3, .open, HandlerRecord())
        record.route = route()
        return record
    }

    private static func peer() -> PeerRecord {
        var peer = PeerRecord()
        peer.announced = AddressRecord(SocketAddress(host: "192.0.2.1", port: 5555))
        peer.forwarded = AddressRecord(SocketAddress(unixPath: "/run/x"))
        (peer.isForwardedSecurely, peer.maxStreams) = (true, 100)
        var relay = RelayRecord()
        relay.local = AddressRecord(SocketAddress(host: "192.0.2.9", port: 443))
        (relay.isSecure, relay.http2) = (true, .webSocket)
        relay.security = TransportSecurity(
            version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384", serverName: "a.example", clientName: "CN=Ada")
        peer.relay = relay
        return peer
    }

    private static func input() -> InputRecord {
        var input = InputRecord()
        (input.frames.kind, input.frames.isFinal) = (.text, false)
        (input.frames.remaining, input.frames.messageLength, input.frames.key) = (7, 70_000, 0xA0B0_C0D0)
        input.frames.allowsCompression = true
        (input.message, input.leftover, input.isReadingOff) = (Array("añ".utf8), [0x81], true)
        input.queued = [
            QueuedInput(kind: .message, type: 2, flags: 3, receivedAt: 1 << 40, payload: [0, 255]),
            QueuedInput(kind: .ping, payload: [7]), QueuedInput(kind: .message, type: 1, flags: 3),
            QueuedInput(kind: .close, payload: [3, 232]),
        ]
        return input
    }

    private static func output() -> OutputRecord {
        var output = OutputRecord()
        (output.unsent, output.border, output.owesDrained) = ([1, 2, 3], 2, true)
        (output.unansweredPing, output.unansweredPings) = ([9], 4)
        return output
    }

    private static func compression() -> CompressionRecord? {
        let parameters = DeflateParameters(
            serverNoContextTakeover: true, clientNoContextTakeover: true, serverWindowBits: 9, clientWindowBits: 8)
        return parameters.map { parameters in
            var compression = CompressionRecord(parameters)
            (compression.received, compression.sent) = ([1], [2])
            return compression
        }
    }

    private static func traffic() -> TrafficRecord {
        var traffic = TrafficRecord()
        (traffic.messagesIn, traffic.messagesOut, traffic.bytesIn, traffic.bytesOut) = (1, 2, 1 << 40, 3)
        (traffic.uncounted, traffic.mark) = (4, 5)
        return traffic
    }

    private static func times() -> TimeRecord {
        var times = TimeRecord()
        (times.deadlineIn, times.pingIn, times.isPinged, times.pingStamp) = (1, 2, true, 3)
        (times.lastMessageAgo, times.openedAgo, times.lastInAgo, times.lastOutAgo) = (4, 5, 6, 7)
        times.roundTripMicroseconds = 8
        return times
    }

    private static func route() -> RouteRecord {
        var route = RouteRecord()
        (route.name, route.handler, route.subprotocol) = ("/echo", "echo", "v1")
        var logged = LoggedRequestRecord()
        (logged.peer, logged.host, logged.method) = ("192.0.2.1:5555", "localhost", "GET")
        (logged.path, logged.http) = ("/echo?x", "1.1")
        route.logged = logged
        return route
    }

    private static func handler() -> HandlerRecord {
        var handler = HandlerRecord()
        handler.state = StateRecord(version: 1, format: 2, generation: 3, data: [4], isCheckpoint: true)
        var request = KeptRequest()
        request.head = Array("GET / HTTP/1.1\r\n\r\n".utf8)
        request.parameters = [.init(name: "room", value: [0xFF])]
        (request.uuid, request.receivedAt) = ((1, 2), 3)
        handler.request = request
        handler.topics = [TopicRecord(TopicKey(scope: "/echo", name: [1]))]
        handler.timers = [TimerRecord(number: 1, token: 2, interval: 3, dueIn: 4)]
        return handler
    }

    // MARK: Wrong ones

    struct Wrong: Sendable, CustomTestStringConvertible {
        let sentence: String
        let record: ConnectionRecord
        var testDescription: String { sentence }

        init(_ sentence: String, _ change: (inout ConnectionRecord) -> Void) {
            var record = RecordSamples.open()
            change(&record)
            (self.sentence, self.record) = (sentence, record)
        }
    }

    static let wrong = [
        Wrong("it has not the number of a connection") { $0.id = 2 },
        Wrong("it has a route and no request, or the other way about") { $0.route = nil },
        Wrong("it has a route and no request, or the other way about") { ($0.phase, $0.handler) = (.head, nil) },
        Wrong("it is open and has no handler, or the other way about") { $0.handler = nil },
        Wrong("it is open and has no handler, or the other way about") { $0.phase = .closing },
        Wrong("it is compressed and nothing was agreed on, or the other way about") { $0.compression = nil },
        Wrong("it has frames without a handshake") {
            ($0.phase, $0.handler, $0.route, $0.compression) = (.head, nil, nil, nil)
            $0.input.frames.allowsCompression = false
        },
        Wrong("no reader of frames stands so") { $0.input.frames.messageLength = 0 },
        Wrong("a message has come by half between two messages") {
            ($0.input.frames.kind, $0.input.frames.remaining) = (.continuation, 0)
        },
        Wrong("a compressed message has come by half") { $0.input.frames.isCompressed = true },
        Wrong("a frame begins behind the output") { $0.output.border = 4 },
        Wrong("a route has a name and a handler") { $0.route?.name = "" },
        Wrong("a topic has a name") { $0.handler?.topics = [TopicRecord(TopicKey(scope: "", name: []))] },
    ]

    // MARK: Fields

    /// Where each field stands, those of parts included, and how long it is with what stands in front of it.
    static func fields(of record: [UInt8]) throws -> [(offset: Int, length: Int)] {
        var reader = try RecordReader(record, knows: ConnectionRecord.version)
        var fields: [(offset: Int, length: Int)] = []
        while let field = try reader.next() {
            fields.append((field.bytes.startIndex - 6, field.bytes.count + 6))
            // Of its parts those that are no numbers or texts.
            guard field.tag >= 3 else { continue }
            var place = field.bytes.startIndex
            while place < field.bytes.endIndex {
                let length = (0..<4).reduce(0) { $0 | Int(record[place + 2 + $1]) << ($1 * 8) }
                fields.append((place, length + 6))
                place += length + 6
            }
        }
        return fields
    }

    /// A record without a field, in which the part that had it is as long as it is now.
    static func mended(_ less: [UInt8], without cut: Range<Int>, of record: [UInt8]) -> [UInt8]? {
        var less = less
        guard var reader = try? RecordReader(record, knows: ConnectionRecord.version) else { return nil }
        while let field = try? reader.next() {
            let place = field.bytes.startIndex - 6
            guard place < cut.lowerBound, cut.upperBound <= field.bytes.endIndex else { continue }
            let length = field.bytes.count - cut.count
            for index in 0..<4 { less[place + 2 + index] = UInt8(truncatingIfNeeded: length >> (index * 8)) }
        }
        return less
    }
}
