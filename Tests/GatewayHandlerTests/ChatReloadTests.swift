import CGatewayABI
import Testing

/// Two generations of the chat side by side. Each has a host table of its own; connections mean the same to both.
private struct Generations {
    let old: Driven
    let new: Driven

    init(_ way: Way) throws {
        let (one, other) = (try way.from.module(), try ChatModule.copy(of: way.to.rawValue))
        try #require(!one.isSameImage(as: other))
        (old, new) = (try one.driven(["history": "3"]), try other.driven(["history": "2"]))
        for host in [old.host, new.host] { host.set { $0.info = gw_conn_info() } }
    }

    /// All that was sent by either generation.
    func said() -> [String] { (old.said() + new.said()).sorted() }
}

/// What is replaced by what: state is bytes, so the flavours may follow each other.
struct Way: Sendable, CustomTestStringConvertible {
    let from: ChatFlavour
    let to: ChatFlavour

    var testDescription: String { "\(from) to \(to)" }

    static let all = [ChatFlavour.reactive, .functional].flatMap { from in
        [ChatFlavour.reactive, .functional].map { Way(from: from, to: $0) }
    }
}

@Suite("the chat while it is replaced")
struct ChatReloadTests {
    @Test(arguments: Way.all)
    func `numbers, members and history go on`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let states = [old.connect(10), old.connect(11)]
        for line in ["a", "b", "c"] { old.text(10, states[0], line) }
        #expect(old.handOver(to: new) == GW_OK)
        _ = chat.said()

        let third = new.connect(12)
        #expect(chat.said() == ["12 <- [0]: b", "12 <- [0]: c"])
        new.text(12, third, "hi")
        #expect(chat.said() == ["10 <- [2]: hi", "11 <- [2]: hi", "12 <- [2]: hi"])

        let moved = zip([10, 11], states).map { old.move($0, $1, to: new) }
        #expect(chat.said() == [])
        new.text(11, moved[1], "still me")
        #expect(chat.said() == ["10 <- [1]: still me", "11 <- [1]: still me", "12 <- [1]: still me"])
        new.connect(13)
        #expect(chat.said() == ["13 <- [1]: still me", "13 <- [2]: hi"])
    }

    @Test(arguments: Way.all)
    func `everybody who was in at the copy hears both generations, once`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let states = [old.connect(10), old.connect(11)]
        #expect(old.handOver(to: new) == GW_OK)
        _ = chat.said()
        let moved = old.move(10, states[0], to: new)
        old.text(11, states[1], "from the old")
        #expect(chat.said() == ["10 <- [1]: from the old", "11 <- [1]: from the old"])
        new.text(10, moved, "from the new")
        #expect(chat.said() == ["10 <- [0]: from the new", "11 <- [0]: from the new"])
    }

    @Test(arguments: Way.all)
    func `who joins the old room after the copy shares no number with who joins the new one`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        _ = old.connect(10)
        #expect(old.handOver(to: new) == GW_OK)
        let late = [old.connect(11), old.connect(12)]
        let early = new.connect(13)
        _ = chat.said()
        old.text(11, late[0], "late")
        old.text(12, late[1], "later")
        new.text(13, early, "early")
        let numbers = Set(chat.said().compactMap { $0.split(separator: " ").dropFirst(2).first })
        #expect(numbers == ["[1000001]:", "[1000002]:", "[1]:"])

        // They keep them when they move, and nobody is ever given one again.
        let moved = old.move(12, late[1], to: new)
        new.text(12, moved, "me")
        #expect(chat.said().contains("13 <- [1000002]: me"))
        let last = new.connect(14)
        _ = chat.said()
        new.text(14, last, "new")
        #expect(chat.said().contains("14 <- [1000003]: new"))
    }

    @Test(arguments: Way.all)
    func `a reload that fails costs nothing but a few numbers`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let first = old.connect(10)
        old.event(GW_EV_RELOAD_PENDING)
        #expect(old.save() != nil)
        old.event(GW_EV_RELOAD_PENDING)
        let second = old.connect(11)
        _ = chat.said()
        old.text(10, first, "here")
        old.text(11, second, "too")
        #expect(
            chat.said() == ["10 <- [0]: here", "10 <- [1000001]: too", "11 <- [0]: here", "11 <- [1000001]: too"])
        #expect(old.handOver(to: new) == GW_OK)
        let third = new.connect(12)
        _ = chat.said()
        new.text(12, third, "hi")
        #expect(chat.said().contains("11 <- [1000002]: hi"))
    }

    @Test(arguments: Way.all)
    func `who left while the other generation looked after him is forgotten`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let states = [old.connect(10), old.connect(11)]
        #expect(old.handOver(to: new) == GW_OK)
        let moved = old.move(10, states[0], to: new)
        old.close(11, states[1])
        _ = chat.said()
        new.host.set { $0.status = gw_status(GW_E_CLOSED) }
        new.text(10, moved, "anyone?")
        #expect(chat.said().count == 2)
        new.host.set { $0.status = 0 }
        new.text(10, moved, "anyone?")
        #expect(chat.said() == [])
    }

    @Test(arguments: Way.all)
    func `the dead are not handed on`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let states = [old.connect(10), old.connect(11)]
        old.host.set { $0.gone = [11] }
        #expect(old.handOver(to: new) == GW_OK)
        let moved = old.move(10, states[0], to: new)
        _ = chat.said()
        new.text(10, moved, "hi")
        #expect(chat.said() == ["10 <- [0]: hi"])
        old.close(11, states[1])
    }

    @Test(arguments: Way.all)
    func `it goes back the same way`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let first = old.connect(10)
        #expect(old.handOver(to: new) == GW_OK)
        let moved = old.move(10, first, to: new)
        let second = new.connect(11)
        #expect(new.handOver(to: old) == GW_OK)
        let back = [new.move(10, moved, to: old), new.move(11, second, to: old)]
        let third = old.connect(12)
        _ = chat.said()
        old.text(10, back[0], "a")
        old.text(12, third, "c")
        #expect(chat.said() == [10, 11, 12].flatMap { ["\($0) <- [0]: a", "\($0) <- [2]: c"] })
    }

    @Test(arguments: Way.all)
    func `state cut at any place is refused and the room starts afresh`(_ way: Way) throws {
        let chat = try Generations(way)
        let (old, new) = (chat.old, chat.new)
        let state = old.connect(10)
        old.text(10, state, "a")
        let (room, member) = (try #require(old.save()), try #require(old.save(10, state)))
        for count in room.indices {
            #expect(
                new.restore(Array(room.prefix(count)), format: old.table.state_format, version: 1) == GW_E_FAILED)
        }
        for count in member.indices { #expect(new.restore(10, Array(member.prefix(count))).status == GW_E_FAILED) }
        let first = new.connect(11)
        _ = chat.said()
        new.text(11, first, "hello")
        #expect(chat.said() == ["11 <- [0]: hello"])
    }
}
