import TestSupport
import Testing

@Suite("PubSub: one publication, every subscriber, once and in order")
struct PubSubTests {
    private func room(_ count: Int, _ gateway: TestGateway, topic: String = "room") throws -> [Errand] {
        let room = try (0..<count).map { _ in try Errand(gateway) }
        for errand in room { #expect(try errand.ask("sub \(topic)") == "= 0 0") }
        return room
    }

    @Test("everybody who is subscribed hears it, on whatever worker, whoever publishes", arguments: ["", "thread "])
    func reaches(_ thread: String) throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let room = try room(6, gateway)
        #expect(Set(room.map(\.worker)) == [0, 1])
        let outsider = try Errand(gateway)
        #expect(try outsider.ask("\(thread)pub room hello") == "= 0 6")
        for errand in room { #expect(try errand.hear() == "hello") }
        // All but the publisher, which hears the answer only.
        #expect(try room[0].ask("\(thread)pubx room again") == "= 0 5")
        for errand in room.dropFirst() { #expect(try errand.hear() == "again") }
        #expect(try room[1].ask("unsub room") == "= 0 0")
        #expect(try outsider.ask("\(thread)pub room third") == "= 0 5")
        try room[1].expectSilence()
        #expect(try outsider.ask("\(thread)pub nobody x") == "= 0 0")
    }

    @Test("what a connection gets stands in the order it was asked for")
    func order() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let room = try room(4, gateway)
        let other = try Errand(gateway)
        for errand in room { #expect(try errand.ask("sub side") == "= 0 0") }
        try room[0].tell(["say a", "pub room b", "pubx room not-me", "say c", "pub side d", "pub room e", "pub room f"])
        for line in ["a", "b", "c", "d", "e", "f"] { #expect(try room[0].hear() == line) }
        for errand in room.dropFirst() {
            for line in ["b", "not-me", "d", "e", "f"] { #expect(try errand.hear() == line) }
        }
        // Whoever joins between two publications of a turn hears the second one, who leaves the first one.
        try other.tell(["pub room one", "sub room", "pub room two", "unsub room", "pub room three", "say end"])
        #expect(try other.hear() == "two")
        #expect(try other.hear() == "end")
        for errand in room { for line in ["one", "two", "three"] { #expect(try errand.hear() == line) } }
    }

    @Test("a close goes behind what was published before it, and nothing behind the close")
    func close() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let room = try room(3, gateway)
        try room[0].tell(["pub room last", "close bye", "pub room too late"])
        #expect(try room[0].client.receiveAll() == [.text("last"), .close(1000, "bye")])
        #expect(try room[1].hear() == "last")
        room[0].client.close()
        while try room[2].ask("pub room count") != "= 0 2" { #expect(try room[2].hear() == "count") }
    }

    @Test("topics are the route's, global ones the gateway's")
    func scopes() throws {
        let gateway = try TestGateway(handler: "fixture_errands", rest: "route /other { handler fixture_errands; }")
        let here = try Errand(gateway)
        let there = try Errand(gateway, path: "/other")
        for errand in [here, there] {
            #expect(try errand.ask("sub room") == "= 0 0")
            #expect(try errand.ask("gsub room") == "= 0 0")
        }
        #expect(try here.ask("topics") == "= 0 2")
        try here.tell(["pub room route", "gpub room all"])
        #expect(try here.hear() == "route")
        #expect(try here.hear() == "all")
        #expect(try there.hear() == "all")
    }

    @Test("thousands of publications, small and large", arguments: [(5000, 20), (300, 15_000), (20, 200_000)])
    func many(_ test: (count: Int, size: Int)) throws {
        let gateway = try TestGateway(handler: "fixture_errands", route: "send_buffer 16m;")
        let room = try room(4, gateway)
        try room[0].tell("flood room \(test.count) \(test.size)")
        for errand in room {
            for _ in 0..<test.count {
                let frame = try errand.client.receive()
                #expect(frame.payload.count == test.size && frame.opcode == 1)
            }
            try errand.expectSilence()
        }
    }

    @Test("publications wait for the end of a fragmented message", arguments: ["", "thread "])
    func streams(_ thread: String) throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let room = try room(2, gateway)
        try room[0].tell("\(thread)open one ")
        #expect(try room[0].client.receive() == TestClient.Frame(1, Array("one ".utf8), isFinal: false))
        #expect(try Errand(gateway).ask("\(thread)pub room meanwhile") == "= 0 2")
        #expect(try room[1].hear() == "meanwhile")
        try room[0].tell(["\(thread)end two"])
        #expect(try room[0].client.receive() == TestClient.Frame(0, Array("two".utf8)))
        #expect(try room[0].hear() == "meanwhile")
        #expect(try room[0].ask("topics") == "= 0 1")
    }

    @Test("a connection may have 256 topics; a name may have 255 octets")
    func limits() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        for thread in ["", "thread "] {
            let errand = try Errand(gateway)
            #expect(try errand.ask("\(thread)many") == "= -5 256")
            #expect(try errand.ask("topics") == "= 0 256")
            #expect(try errand.ask("sub 3") == "= 0 0")
            #expect(try errand.ask("unsub 3") == "= 0 0")
            #expect(try errand.ask("sub \(String(repeating: "n", count: 255))") == "= 0 0")
            #expect(try errand.ask("topics") == "= 0 256")
        }
    }

    @Test("who reads too slowly is dropped, the others hear everything")
    func slow() throws {
        let gateway = try TestGateway(handler: "fixture_errands", route: "send_buffer 64k;", threads: 1)
        let slow = try Errand(gateway, receiveBuffer: 4096)
        let fast = try Errand(gateway)
        for errand in [slow, fast] { #expect(try errand.ask("sub room") == "= 0 0") }
        let speaker = try Errand(gateway)
        // Until the kernel takes no more for the slow one.
        var count = 0
        while try speaker.ask("pub room \(String(repeating: "x", count: 2000))") == "= 0 2" {
            count += 1
            #expect(try fast.client.receive().payload.count == 2000)
        }
        #expect(count > 10)
        let frames = try slow.client.receiveAll()
        #expect(frames.count == count + 1 || frames.count == count)
        #expect(frames.last == .close(1013, "slow consumer"))
    }

    @Test("misuse is answered")
    func misuse() throws {
        let gateway = try TestGateway(handler: "fixture_errands")
        let errand = try Errand(gateway)
        try errand.tell("misuse")
        #expect(try errand.hear() == "-4 -4 -4 -5 -4 -1 0 -8 -4 -4 -4 0 -8 -1 -4 1 1 -8 -8 -8 -1 -4")
    }

    @Test("subscriptions outlive the handler")
    func reload() throws {
        let folder = try ErrandFolder()
        let gateway = try folder.gateway()
        let room = try room(4, gateway)
        try folder.reload()
        try room[0].tell(["which", "pub room still here"])
        #expect(try room[0].hear().hasPrefix("generation 2"))
        for errand in room { #expect(try errand.hear() == "still here") }
        #expect(try Errand(gateway).ask("pub room x") == "= 0 4")
    }
}
