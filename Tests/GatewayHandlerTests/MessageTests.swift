import CGatewayABI
import GatewayHandler
import Testing

/// Says what it sees of a message, and sends it back in all its forms.
private final class Reader: ReactiveHandler {
    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) {
        let kind = message.kind == .text ? "text" : "binary"
        var scalars = "nil"
        if let utf8 = message.utf8 { scalars = "\(utf8.count)" }
        connection.send("\(kind) \(message.bytes.byteCount) \(scalars) \(message.text ?? "nil")")
        connection.send("\(message.isFirst) \(message.isFinal) \(message.receivedAt)")
        connection.send(message.copyBytes())
        connection.send(message.bytes)
        connection.send(message)
    }
}

@Suite("a message")
struct MessageTests {
    @Test(arguments: [[], Array("a".utf8), Array("Grüße 👋".utf8), [UInt8](repeating: 0x61, count: 70000)])
    func `of text is text, bytes and itself`(_ payload: [UInt8]) {
        let driven = Driven(Reader.self)
        let text = String(decoding: payload, as: UTF8.self)
        driven.text(1, text)
        #expect(
            driven.host.calls == [
                .text(1, "text \(payload.count) \(payload.count) \(text)"), .text(1, "true true 2.0 seconds"),
                .send(1, kind: 2, payload), .send(1, kind: 2, payload), .send(1, kind: 1, payload),
            ])
    }

    @Test(arguments: [[], [0xFF, 0x00, 0xC3]] as [[UInt8]])
    func `of binary has no text`(_ payload: [UInt8]) {
        let driven = Driven(Reader.self)
        driven.binary(1, payload)
        #expect(
            driven.host.calls == [
                .text(1, "binary \(payload.count) nil nil"), .text(1, "true true 2.0 seconds"),
                .send(1, kind: 2, payload), .send(1, kind: 2, payload), .send(1, kind: 2, payload),
            ])
    }

    @Test(arguments: [(GW_FIRST | GW_FIN, false), (GW_FIRST | GW_FIN | GW_COMPRESSED, true)])
    func `says whether it came compressed`(flags: Int, wasCompressed: Bool) {
        let driven = Driven(Squeezed.self)
        driven.binary(1, [1], flags: flags)
        #expect(driven.host.calls == [.text(1, "\(wasCompressed)")])
    }
}

/// Says how messages came.
private final class Squeezed: ReactiveHandler {
    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) { connection.send("\(message.wasCompressed)") }
}
