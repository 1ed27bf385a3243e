import Bytes
import GatewayIO
import Glibc
import Testing

@Suite("A poller says which descriptors are ready, as long as they are")
struct PollerTests {
    @Test("a token comes back as it was given", arguments: [0, 1, UInt64.max, 0x8000_0001_0000_0002])
    func token(_ token: UInt64) throws {
        let poller = try Poller()
        let pair = try Loopback.pair()
        try poller.add(pair.ours.number, token: token, interest: .readable)
        #expect(try poller.wait(milliseconds: 0) == 0)
        Loopback.write(pair.theirs.number, [1])
        for _ in 0..<2 {
            // Level-triggered: what was not consumed is reported again.
            let count = try poller.wait(milliseconds: nil)
            #expect(count == 1)
            let event = poller[0]
            #expect(event.token == token)
            #expect(event.isReadable)
            #expect(!event.isWritable)
            #expect(!event.isHangUp)
        }
        #expect(Loopback.read(pair.ours.number, 1) == [1])
        #expect(try poller.wait(milliseconds: 0) == 0)
    }

    @Test("interest can be changed and withdrawn")
    func modify() throws {
        let poller = try Poller()
        let pair = try Loopback.pair()
        try poller.add(pair.ours.number, token: 1, interest: [])
        Loopback.write(pair.theirs.number, [1])
        #expect(try poller.wait(milliseconds: 0) == 0)
        try poller.modify(pair.ours.number, token: 2, interest: [.readable, .writable])
        #expect(try poller.wait(milliseconds: nil) == 1)
        let event = poller[0]
        #expect(event.token == 2)
        #expect(event.isReadable && event.isWritable)
        try poller.remove(pair.ours.number)
        #expect(try poller.wait(milliseconds: 0) == 0)
    }

    @Test("mistakes are errors")
    func mistakes() throws {
        let poller = try Poller()
        let pair = try Loopback.pair()
        #expect(throws: Errno(ENOENT)) { try poller.modify(pair.ours.number, token: 1, interest: .readable) }
        #expect(throws: Errno(ENOENT)) { try poller.remove(pair.ours.number) }
        #expect(throws: Errno(EBADF)) { try poller.add(-1, token: 1, interest: .readable) }
        try poller.add(pair.ours.number, token: 1, interest: .readable)
        #expect(throws: Errno(EEXIST)) { try poller.add(pair.ours.number, token: 1, interest: .readable) }
    }

    @Test("a peer that is gone is readable and a hang-up, even if nothing was asked for")
    func hangUp() throws {
        let poller = try Poller()
        let pair = try Loopback.pair()
        try poller.add(pair.ours.number, token: 1, interest: [])
        Loopback.end(pair.theirs)
        #expect(try poller.wait(milliseconds: nil) == 1)
        let event = poller[0]
        #expect(event.isReadable && event.isHangUp)
    }

    @Test("a closed descriptor is forgotten by itself")
    func closed() throws {
        let poller = try Poller()
        let pair = try Loopback.pair()
        try poller.add(pair.ours.number, token: 1, interest: .readable)
        Loopback.write(pair.theirs.number, [1])
        Loopback.end(pair.ours)
        #expect(try poller.wait(milliseconds: 0) == 0)
    }

    @Test("many are reported, each with its own token")
    func many() throws {
        let poller = try Poller()
        var numbers: [Int32] = []
        defer { for number in numbers { close(number) } }
        for index in 0..<100 {
            let pair = try Loopback.pair()
            try poller.add(pair.ours.number, token: UInt64(index), interest: .readable)
            Loopback.write(pair.theirs.number, [1])
            numbers.append(pair.ours.release())
            numbers.append(pair.theirs.release())
        }
        let count = try poller.wait(milliseconds: nil)
        let tokens = (0..<count).map { poller[$0].token }
        #expect(tokens.sorted() == Array(0..<100))
    }

    @Test("a listener shared by two pollers is accepted from once")
    func exclusive() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        let first = try Poller()
        let second = try Poller()
        try first.add(listener.number, token: 1, interest: [.readable, .exclusive])
        try second.add(listener.number, token: 2, interest: [.readable, .exclusive])
        let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
        Loopback.wait(listener.number)
        let ready = try first.wait(milliseconds: 0) + second.wait(milliseconds: 0)
        #expect(ready >= 1)
        _ = try Loopback.accept(listener)
        #expect(try first.wait(milliseconds: 0) + second.wait(milliseconds: 0) == 0)
        _ = consume client
    }
}
