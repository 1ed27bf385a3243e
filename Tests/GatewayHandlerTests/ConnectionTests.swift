import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

/// Hands out its connections, so that tests can use them outside callbacks.
private final class Lender: ReactiveHandler {
    static let lent = Mutex<[UInt64: Connection]>([:])

    init(_ context: borrowing StartContext) {}
    func opened(_ connection: Connection, _ request: borrowing Request) {
        Self.lent.withLock { $0[connection.id] = connection }
    }
    func message(_ connection: Connection, _ message: borrowing Message) {}
}

@Suite("a connection, from anywhere")
struct ConnectionTests {
    private let driven: Driven
    private let connection: Connection
    private var host: MockHost { driven.host }

    init() throws {
        let number = UInt64.random(in: 1 ... .max)
        driven = Driven(Lender.self)
        driven.open(number)
        connection = try #require(Lender.lent.withLock { $0[number] })
    }

    @Test func `sends text, bytes, spans and fragments`() {
        connection.send("hé")
        connection.send("")
        connection.send([1, 2])
        connection.send([UInt8]())
        connection.send([3, 4, 5].span.bytes)
        connection.sendFragment("a", isFinal: false)
        connection.sendFragment([6].span.bytes, isFinal: true)
        let span: [UInt8] = [3, 4, 5].flatMap { withUnsafeBytes(of: $0 as Int) { [UInt8]($0) } }
        let last: [UInt8] = withUnsafeBytes(of: 6) { [UInt8]($0) }
        let id = connection.id
        #expect(
            host.calls == [
                .send(id, kind: 1, [104, 0xC3, 0xA9]), .send(id, kind: 1, []), .send(id, kind: 2, [1, 2]),
                .send(id, kind: 2, []), .send(id, kind: 2, span), .fragment(id, kind: 1, isFinal: false, [97]),
                .fragment(id, kind: 2, isFinal: true, last),
            ])
    }

    @Test func `says what is not to be compressed`() {
        connection.send("a", compressed: false)
        connection.send([1 as UInt8].span.bytes, compressed: false)
        connection.send("a", compressed: true)
        let id = connection.id
        #expect(
            host.calls == [
                .sendPlain(id, kind: 1, [97]), .sendPlain(id, kind: 2, [1]), .send(id, kind: 1, [97]),
            ])
    }

    @Test func `pings, pongs, aborts and stops reading`() {
        connection.ping()
        connection.ping([1])
        connection.pong([2])
        #expect(connection.abort())
        #expect(connection.setReading(false))
        #expect(connection.setReading(true))
        let id = connection.id
        #expect(
            host.calls == [
                .ping(id, []), .ping(id, [1]), .pong(id, [2]), .abort(id), .setReading(id, 0), .setReading(id, 1),
            ])
        host.set { $0.status = gw_status(GW_E_CLOSED) }
        #expect(!connection.abort())
        #expect(!connection.setReading(true))
    }

    @Test(arguments: [
        (GW_OK, SendResult.sent, true), (GW_BACKPRESSURE, .backpressure, true), (GW_E_CLOSED, .closed, false),
        (GW_E_DROPPED, .dropped, false), (GW_E_STATE, .outOfTurn, false), (GW_E_INVALID, .invalid, false),
        (GW_E_LIMIT, .overLimit, false), (GW_E_NOMEM, .outOfMemory, false), (GW_E_UNSUPPORTED, .unsupported, false),
        (GW_E_RETIRED, .retired, false), (GW_E_FAILED, .refused, false), (GW_E_NOTFOUND, .refused, false),
        (99, .sent, true), (-99, .refused, false),
    ])
    func `names every status`(_ status: Int, _ result: SendResult, _ isAccepted: Bool) {
        host.set { $0.status = gw_status(status) }
        #expect(connection.send("a") == result)
        #expect(connection.sendFragment("a", isFinal: true) == result)
        #expect(connection.ping() == result)
        #expect(connection.close() == result)
        #expect(result.isAccepted == isAccepted)
    }

    @Test(arguments: [
        ("bye", "bye"),
        (String(repeating: "a", count: 123), String(repeating: "a", count: 123)),
        (String(repeating: "a", count: 124), String(repeating: "a", count: 123)),
        (String(repeating: "é", count: 62), String(repeating: "é", count: 61)),
        (String(repeating: "👨‍👩‍👧", count: 7), String(repeating: "👨‍👩‍👧", count: 6)),
    ])
    func `cuts a close reason to 123 bytes between characters`(_ reason: String, _ sent: String) {
        connection.close(.policyViolation, reason: reason)
        #expect(host.calls == [.close(connection.id, 1008, sent)])
    }

    @Test func `closes normally by default and without a code on demand`() {
        connection.close()
        connection.close(CloseCode(4000))
        connection.close(nil, reason: "cannot be sent without a code")
        let id = connection.id
        #expect(host.calls == [.close(id, 1000, ""), .close(id, 4000, ""), .close(id, 0, "")])
    }

    @Test func `tells how it is doing while it is open`() throws {
        #expect(!connection.isOpen)
        #expect(connection.flow == nil)
        host.set {
            $0.info = gw_conn_info(
                struct_size: 0, flags: 1, queued_bytes: .max, high_water: 2, age_ms: .max, last_in_ms: 4,
                last_out_ms: 5, rtt_us: 6, topics: 7)
        }
        #expect(connection.isOpen)
        let flow = try #require(connection.flow)
        #expect(flow.queuedBytes == .max && flow.highWaterMark == 2 && flow.topics == 7)
        #expect(flow.age == .milliseconds(Int64.max) && flow.sinceReceived == .milliseconds(4))
        #expect(flow.sinceSent == .milliseconds(5) && flow.roundTripTime == .microseconds(6))
        #expect(!flow.isReading && !flow.hasOpenMessage)
    }

    @Test func `is a value: equal by number, usable as a key`() {
        #expect(connection == connection)
        #expect(Set([connection, connection]).count == 1)
        #expect("\(connection)" == "connection \(connection.id)")
    }
}
