import CGatewayABI
import GatewayHandler
import Testing

/// The program of Fleck's tutorial: every event says its name.
private let tutorial = fleck(Manifest(name: "fleck")) { context in
    let gateway = context.gateway
    return { socket in
        let token = Tracked("fleck \(socket.connection.id)")
        socket.onOpen = { socket.send("OnOpen \(socket.info.path) \(socket.info.uuid)") }
        socket.onMessage = { text in
            if text == "throw" { throw Mishap(description: token.name) }
            socket.send("Echo: \(text)")
        }
        socket.onBinary = { bytes in socket.send(bytes.reversed()) }
        socket.onPing = { bytes in socket.send("OnPing \(bytes)") }
        socket.onPong = { bytes in socket.send("OnPong \(bytes)") }
        socket.onError = { failure in gateway.log(.info, "OnError \(failure)") }
        socket.onClose = { event in gateway.log(.info, "OnClose \(event.code) \(event.reason)") }
    }
}

@Suite("the flavour in the style of Fleck")
struct FleckTests {
    @Test func `calls the closures of each socket, and frees them after the last`() {
        let driven = Driven(tutorial)
        let state = driven.connect(901)
        driven.text(901, state, "hé")
        driven.binary(901, state, [1, 2])
        driven.raw { arena, instance in
            driven.table.ping!(instance, 901, state, arena.bytes([1]))
            driven.table.pong!(instance, 901, state, arena.bytes([]))
        }
        driven.text(901, state, "throw")
        #expect(Tracked.counts(of: "fleck 901") == .init(made: 1, freed: 0))
        driven.close(901, state, code: 1001, reason: "bye")
        #expect(
            driven.host.calls.dropFirst() == [
                .text(901, "OnOpen /rooms/tea time 01020304-0506-7708-890a-0b0c0d0e0fff"), .text(901, "Echo: hé"),
                .send(901, kind: 2, [2, 1]), .text(901, "OnPing [1]"), .text(901, "OnPong []"),
                .log(901, 4, "message threw: fleck 901"), .close(901, 1011, ""), .log(0, 2, "OnError fleck 901"),
                .log(0, 2, "OnClose 1001 bye"),
            ])
        #expect(Tracked.counts(of: "fleck 901") == .init(made: 1, freed: 1))
    }

    @Test func `needs no closure at all`() {
        let driven = Driven(fleck(Manifest(name: "deaf")) { _ in { _ in } })
        let state = driven.connect(1)
        driven.text(1, state, "a")
        driven.binary(1, state, [])
        driven.error(1, state, "broken")
        driven.close(1, state)
        #expect(driven.host.deeds.count == 1)
    }

    @Test func `a configuration that throws ends that connection with 1011`() {
        let driven = Driven(fleck(Manifest(name: "strict")) { _ in { _ in throw Mishap(description: "not you") } })
        let state = driven.connect(1)
        #expect(driven.host.deeds.last == .close(1, 1011, ""))
        driven.close(1, state, code: 1011)
    }

    @Test func `stays with its generation in a reload`() {
        let table = Driven(tutorial).table
        #expect(table.save_conn == nil && table.flags & UInt32(GW_HF_STATELESS) == 0)
    }

    @Test func `closures that come later get the socket`() {
        let driven = Driven(
            fleck(Manifest(name: "later")) { _ in
                { socket in
                    socket.onMessage = { text in
                        socket.post { $0.send("post \($0.info.path)") }
                        socket.after(.seconds(1)) { $0.send("after") }
                        socket.every(.seconds(1)) { $0.send("every") }
                        try socket.offload { _ in
                            text
                        } then: {
                            $0.send("work \($1)")
                        }
                    }
                }
            })
        let state = driven.connect(1)
        driven.text(1, state, "x")
        driven.deliver(state)
        let lines = ["post /rooms/tea time", "after", "every", "work x"]
        #expect(driven.host.deeds.suffix(4) == lines.map { Call.text(1, $0) }[...])
        driven.close(1, state)
    }
}
