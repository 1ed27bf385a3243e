import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

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

    @Test("a connection may have 256 topics; a name may have 255 bytes")
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

@Suite("Topics of a worker, turn by turn")
struct PubSubTurnTests {
    /// A worker, and peers of its that are subscribed to "room".
    private func room(
        _ count: Int, route: String = "", windows: [Int] = []
    ) throws -> (StepWorker, [StepWorker.Peer]) {
        let steps = try StepWorker(handler: "fixture_errands", route: route)
        let peers = (0..<count).map { steps.open(window: $0 < windows.count ? windows[$0] : .max) }
        for peer in peers { peer.say("sub room") }
        steps.step()
        for peer in peers { _ = peer.frames() }
        return (steps, peers)
    }

    private func texts(_ texts: String...) -> [TestClient.Frame] { texts.map { .text($0) } }

    /// A publication from another thread.
    private func publish(_ text: String, except: StepWorker.Peer? = nil, _ steps: StepWorker) -> UInt32 {
        var reached: UInt32 = 0
        let status = Array(text.utf8).withUnsafeBytes {
            steps.host().publish(
                steps.binding().pointee.instanceID, "room", 4, 0, .text, $0, except?.id?.number ?? 0, &reached)
        }
        #expect(status == 0)
        return reached
    }

    @Test func `publications of a turn keep their order, in a topic and across topics`() throws {
        let (steps, peers) = try room(3)
        for peer in peers { peer.say("sub side") }
        steps.step()
        peers[0].say("pub room a", "pub room b", "pub side c", "pub room d", "pub side e", "say own", "pub side f")
        steps.step()
        #expect(peers[0].frames() == texts("a", "b", "c", "d", "e", "own", "f"))
        for peer in peers.dropFirst() { #expect(peer.frames() == texts("a", "b", "c", "d", "e", "f")) }
        let isOver = !steps.worker.pubSub.batch.isOpen
        #expect(isOver)
    }

    @Test func `what several members publish in a turn reaches all in one order`() throws {
        let (steps, peers) = try room(3)
        for (index, peer) in peers.enumerated() { peer.say("pub room \(index)", "pub room \(index)") }
        steps.step()
        for peer in peers { #expect(peer.frames() == texts("0", "0", "1", "1", "2", "2")) }
    }

    @Test func `an excepted member does not get it, and what stands around it`() throws {
        let (steps, peers) = try room(3)
        peers[1].say("pubx room first", "pub room a", "pubx room b", "pubx room c", "pub room d", "!pubx room last")
        steps.step()
        #expect(peers[1].frames() == texts("a", "d", "= 0 2"))
        for peer in [peers[0], peers[2]] { #expect(peer.frames() == texts("first", "a", "b", "c", "d", "last")) }
        // An exception that is no member is none.
        let outsider = steps.open()
        outsider.say("!pubx room x")
        steps.step()
        #expect(outsider.frames().last == .text("= 0 3"))
    }

    @Test func `who joins inside a batch gets what follows, who leaves what came before`() throws {
        let (steps, peers) = try room(2)
        let newcomer = steps.open()
        _ = newcomer.frames()
        newcomer.say("pub room one", "sub room", "pub room two", "pub room three", "unsub room", "pub room four")
        steps.step()
        #expect(newcomer.frames() == texts("two", "three"))
        for peer in peers { #expect(peer.frames() == texts("one", "two", "three", "four")) }
        peers[0].say("pub room a", "unsub room", "pub room b", "sub room", "pub room c", "say end")
        steps.step()
        #expect(peers[0].frames() == texts("a", "c", "end"))
        #expect(peers[1].frames() == texts("a", "b", "c"))
    }

    @Test func `the last member leaves with what it published, and the topic ends`() throws {
        let (steps, peers) = try room(1)
        peers[0].say("pub room a", "unsub room", "!pub room b")
        steps.step()
        #expect(peers[0].frames() == texts("a", "= 0 0"))
        #expect(steps.worker.pubSub.topics.isEmpty && steps.server.context.topics.count == 0)
        let isOver = !steps.worker.pubSub.batch.isOpen
        #expect(isOver)
    }

    @Test func `members that leave keep the places of the others`() throws {
        let (steps, peers) = try room(4)
        for leaver in [1, 0, 3] {
            peers[leaver].say("unsub room", "!pub room \(leaver)")
            steps.step()
        }
        #expect(peers[1].frames() == texts("= 0 3"))
        #expect(peers[0].frames() == texts("1", "= 0 2"))
        #expect(peers[3].frames() == texts("1", "0", "= 0 1"))
        #expect(peers[2].frames() == texts("1", "0", "3"))
        // A member that has left can come back, once.
        peers[0].say("sub room", "sub room", "!topics", "!pub room again")
        steps.step()
        #expect(peers[0].frames() == texts("= 0 1", "again", "= 0 2"))
    }

    @Test func `a large publication stands where it was published, and is excepted like others`() throws {
        let (steps, peers) = try room(3, route: "send_buffer 16m; max_message 1m;")
        let large = String(repeating: "x", count: PublicationBatch.large)
        peers[0].say("pub room a", "flood room 1 20000", "pub room b")
        steps.step()
        for peer in peers {
            let frames = peer.frames()
            #expect(frames.map(\.payload.count) == [1, 20_000, 1] && frames.last == .text("b"))
        }
        #expect(publish(large, except: peers[1], steps) == 2)
        #expect(publish("c", except: peers[1], steps) == 2)
        steps.step()
        for peer in [peers[0], peers[2]] { #expect(peer.frames() == texts(large, "c")) }
        #expect(peers[1].frames().isEmpty)
        #expect(steps.worker.port.publishedBytes.load(ordering: .relaxed) == 0)
    }

    @Test(arguments: [(2000, 60), (3, 15_000), (5, 16_384), (3, 200_000)])
    func `more than a batch, in pieces of any size, comes whole`(count: Int, size: Int) throws {
        let (steps, peers) = try room(3, route: "send_buffer 4m;")
        peers[1].say("pub room first", "flood room \(count) \(size)", "pub room last")
        steps.step()
        for peer in peers {
            let frames = peer.frames()
            #expect(frames.map(\.payload.count) == [5] + [Int](repeating: size, count: count) + [4])
            #expect(frames.allSatisfy { $0.opcode == 1 && $0.isFinal })
        }
    }

    @Test(arguments: [(400, 1000), (20, 30_000)])
    func `a member that reads too slowly is dropped, and the others get everything`(count: Int, size: Int) throws {
        let (steps, peers) = try room(5, route: "send_buffer 70k;", windows: [.max, 300, .max, 300])
        peers[4].say("flood room \(count) \(size)")
        steps.step()
        for index in [0, 2, 4] {
            #expect(peers[index].frames().map(\.payload.count) == [Int](repeating: size, count: count))
        }
        for index in [1, 3] {
            #expect(peers[index].phase == .closing)
            peers[index].widen(by: .max / 2)
            steps.step()
            let frames = peers[index].frames()
            #expect(frames.last == .close(1013, "slow consumer"))
            let got = frames.dropLast().map(\.payload.count)
            #expect(got.count < count && got.allSatisfy { $0 == size } && got.reduce(0, +) <= 70 * 1024 + size)
        }
        peers[0].say("!pub room x")
        steps.step()
        #expect(peers[0].frames() == texts("x", "= 0 3"))
    }

    @Test(arguments: [(400, 1000), (20, 30_000)], [0, 1, 2, 3])
    func `a member that breaks while it is given something takes nothing from others`(
        flood: (count: Int, size: Int), index: Int
    ) throws {
        let (steps, peers) = try room(4, route: "send_buffer 70k;")
        let speaker = steps.open()
        peers[index].fail(Errno(32))
        speaker.say("flood room \(flood.count) \(flood.size)", "!pub room end")
        // It is given something before anybody has read from it.
        steps.worker.resumed.reverse()
        steps.step()
        #expect(peers[index].place == nil)
        #expect(speaker.frames().last == .text("= 0 3"))
        for (number, peer) in peers.enumerated() where number != index {
            let frames = peer.frames()
            #expect(frames.count == flood.count + 1 && frames.last == .text("end"))
        }
    }

    @Test func `a publication waits for the end of a fragmented message`() throws {
        let (steps, peers) = try room(2)
        peers[0].say("open one ")
        steps.step()
        peers[0].say("pub room a", "pub room b")
        steps.step()
        #expect(peers[0].frames() == [TestClient.Frame(1, Array("one ".utf8), isFinal: false)])
        #expect(peers[1].frames() == texts("a", "b"))
        peers[0].say("pub room c", "end two", "pub room d")
        steps.step()
        #expect(peers[0].frames() == [TestClient.Frame(0, Array("two".utf8))] + texts("a", "b", "c", "d"))
        #expect(peers[1].frames() == texts("c", "d"))
    }

    @Test func `a member that closes gets what came before its close`() throws {
        let (steps, peers) = try room(2)
        peers[0].say("pub room a", "close bye", "pub room b")
        steps.step()
        #expect(peers[0].frames() == texts("a") + [.close(1000, "bye")])
        #expect(peers[1].frames() == texts("a"))
        peers[0].sayClose(1000)
        peers[1].finish()
        steps.step()
        #expect(steps.isDeserted)
    }

    @Test func `subscriptions and publications of another thread keep their order`() throws {
        let (steps, peers) = try room(1)
        let other = steps.open()
        _ = other.frames()
        let id = try #require(other.id)
        #expect(publish("before", steps) == 1)
        #expect(steps.host().subscribe(id.number, 0, "room", 4) == 0)
        #expect(publish("between", steps) == 2)
        #expect(steps.host().unsubscribe(id.number, 0, "room", 4) == 0)
        #expect(publish("behind", steps) == 2, "the subscription counts until its worker has ended it")
        steps.step()
        #expect(other.frames() == texts("between"))
        #expect(peers[0].frames() == texts("before", "between", "behind"))
        #expect(publish("x", steps) == 1)
    }

    @Test func `a subscription of a connection that has gone is counted off`() throws {
        let (steps, peers) = try room(1)
        let id = try #require(peers[0].id)
        #expect(steps.host().subscribe(id.number, 0, "side", 4) == 0)
        let place = try #require(peers[0].place)
        steps.onWorker { steps.worker.closer.teardown(place, on: steps.worker) }
        #expect(steps.server.context.topics.count == 1)
        steps.step()
        #expect(steps.isDeserted)
        #expect(steps.worker.port.sharedTable[id.slot].topics.load(ordering: .relaxed) == 0)
    }
}

@Suite("A batch of publications")
struct PublicationBatchTests {
    private func runs(_ exceptions: [(UInt64, Range<Int>)], for connection: UInt64, from: Int) -> [Range<Int>] {
        var batch = PublicationBatch()
        [UInt8](repeating: 0, count: 40).withUnsafeBytes { batch.bytes.append($0) }
        batch.exceptions = exceptions.map { (connection: $0.0, range: $0.1) }
        return batch.runs(for: connection, from: from)
    }

    @Test func `a member gets all of it but its exceptions, from where it came in`() {
        #expect(runs([], for: 1, from: 0) == [0..<40])
        #expect(runs([], for: 1, from: 10) == [10..<40])
        #expect(runs([], for: 1, from: 40) == [])
        #expect(runs([(2, 0..<10)], for: 1, from: 0) == [0..<40])
        #expect(runs([(1, 0..<10)], for: 1, from: 0) == [10..<40])
        #expect(runs([(1, 10..<20)], for: 1, from: 0) == [0..<10, 20..<40])
        #expect(runs([(1, 10..<20), (1, 20..<30)], for: 1, from: 0) == [0..<10, 30..<40])
        #expect(runs([(1, 30..<40)], for: 1, from: 0) == [0..<30])
        #expect(runs([(1, 0..<10), (2, 10..<20), (1, 20..<30)], for: 1, from: 10) == [10..<20, 30..<40])
        #expect(runs([(1, 0..<40)], for: 1, from: 0) == [])
    }

    @Test func `publications are counted where they begin, with their kinds`() {
        var batch = PublicationBatch()
        for first: UInt8 in [0x81, 0x82, 0x81] {
            let start = batch.bytes.count
            let frame = [first] + Array(repeating: 0, count: 9)
            frame.withUnsafeBytes { batch.bytes.append($0) }
            batch.note(start, isPlain: false)
        }
        func tally(_ run: Range<Int>) -> [UInt32] {
            [batch.publications(in: run).messages, batch.publications(in: run).kinds]
        }
        #expect(tally(0..<30) == [3, 4])
        #expect(tally(1..<20) == [1, 2])
        #expect(tally(21..<30) == [0, 0])
        #expect([batch.publications.messages, batch.publications.kinds] == [3, 4])
        batch.empty()
        #expect([batch.publications.messages, batch.publications.kinds] == [0, 0])
    }
}
