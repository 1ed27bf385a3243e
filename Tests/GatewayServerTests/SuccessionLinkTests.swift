import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// A link in a class, for the tests to hold.
private final class End {
    var link: SuccessionLink
    init(_ socket: consuming DescriptorSocket) throws { link = try SuccessionLink(socket) }
}

/// Both ends of a link.
private struct Ends {
    let near: End
    let far: End

    init() throws {
        var pair = try DescriptorSocket.Pair()
        guard let one = pair.takeNear(), let other = pair.takeFar() else { throw Errno(EBADF) }
        (near, far) = (try End(one), try End(other))
    }
}

/// A link, and the bare socket of whoever is at its other end.
private struct Hostile {
    let end: End
    let socket: Int32

    init() throws {
        var pair = try DescriptorSocket.Pair()
        guard let one = pair.takeNear(), let other = pair.takeFar() else { throw Errno(EBADF) }
        (end, socket) = (try End(one), other.release())
    }

    func say(_ bytes: [UInt8], descriptors count: Int = 0) {
        let peer = DescriptorSocket(adopting: socket)
        let passed = PassedDescriptors(adopting: (0..<count).map { _ in dup(1) })
        #expect(peer.write(bytes[...], passing: passed) == .moved(bytes.count))
        _ = peer.release()
    }
}

@Suite("SuccessionLink: whole messages both ways, with their descriptors")
struct SuccessionLinkTests {
    /// One end of a pipe, whose other end has been told which one it is.
    private static func numbered(_ number: UInt8) throws -> PassedDescriptors {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        #expect(write(ends[1], [number], 1) == 1)
        close(ends[1])
        return PassedDescriptors(adopting: [ends[0]])
    }

    /// What a descriptor of that kind says.
    private static func number(of descriptors: PassedDescriptors?) -> UInt8? {
        guard let taken = descriptors?.take() else { return nil }
        var byte: UInt8 = 0
        return read(taken.number, &byte, 1) == 1 ? byte : nil
    }

    @Test("every kind arrives, in its order, and descriptors with the message that they belong to")
    func allKinds() throws {
        let ends = try Ends()
        var number: UInt8 = 0
        let samples = SuccessionSamples.all {
            number += 1
            return (try? Self.numbered(number)) ?? PassedDescriptors()
        }
        let kinds = samples.map { "\($0.kind)" }
        for message in samples { ends.near.link.send(message) }
        #expect(ends.near.link.waiting > 0)
        #expect(try ends.near.link.turn().isEmpty && ends.near.link.waiting == 0)
        // A turn reads so often and no more.
        var messages: [SuccessionMessage] = []
        while case let more = try ends.far.link.turn(), !more.isEmpty { messages += more }
        #expect(messages.map { "\($0.kind)" } == kinds)
        #expect(messages.compactMap { Self.number(of: $0.descriptors) } == Array(1...number))
        // And the other way.
        ends.far.link.send(.ready([]))
        #expect(try ends.far.link.turn().isEmpty)
        #expect(try ends.near.link.turn().map { "\($0.kind)" } == ["ready"])
    }

    @Test("connections of any length, many at once, come whole while the socket is full again and again")
    func full() throws {
        let ends = try Ends()
        var random = SeededRandom(seed: 5)
        let lengths = (0..<150).map { index in
            index == 70 ? 3 << 20 : Int.random(in: 0..<(index.isMultiple(of: 9) ? 60_000 : 300), using: &random)
        }
        var (next, arrived, turns) = (0, 0, 0)
        while arrived < lengths.count {
            while next < lengths.count, !ends.near.link.isFull {
                let record = [UInt8](repeating: UInt8(truncatingIfNeeded: next), count: lengths[next])
                let share = SuccessionMessage.ConnectionShare(worker: 1, received: UInt64(next), record: record)
                ends.near.link.send(.connection(share, try Self.numbered(UInt8(truncatingIfNeeded: next))))
                if next.isMultiple(of: 3) { ends.near.link.send(.progress("\(next)")) }
                next += 1
            }
            _ = try ends.near.link.turn()
            for message in try ends.far.link.turn() {
                guard case .connection(let share, let descriptors) = message else { continue }
                #expect(share.received == UInt64(arrived) && share.record.count == lengths[arrived])
                #expect(share.record.allSatisfy { $0 == UInt8(truncatingIfNeeded: arrived) })
                #expect(Self.number(of: descriptors) == UInt8(truncatingIfNeeded: arrived))
                arrived += 1
            }
            turns += 1
            try #require(turns < 10_000)
        }
        #expect(ends.near.link.waiting == 0)
    }

    @Test("it is full when the other side does not read, and its poller tells when there is room")
    func bounded() throws {
        let ends = try Ends()
        let progress = SuccessionMessage.progress(String(repeating: "x", count: 10_000))
        while !ends.near.link.isFull {
            ends.near.link.send(progress)
            _ = try ends.near.link.turn()
        }
        var interest = pollfd(fd: ends.near.link.number, events: Int16(POLLIN), revents: 0)
        #expect(poll(&interest, 1, 0) == 0)
        var messages = 0
        while ends.near.link.isFull {
            messages += try ends.far.link.turn().count
            #expect(poll(&interest, 1, 10_000) == 1)
            _ = try ends.near.link.turn()
        }
        #expect(messages > 0)
    }

    @Test("cut anywhere, messages are the same")
    func cut() throws {
        let hostile = try Hostile()
        defer { close(hostile.socket) }
        let bytes = SuccessionMessage.hello(SuccessionSamples.greeting).bytes + SuccessionMessage.ready([]).bytes
        var kinds: [String] = []
        for byte in bytes {
            hostile.say([byte])
            kinds += try hostile.end.link.turn().map { "\($0.kind)" }
        }
        #expect(kinds == ["hello", "ready"])
    }

    @Test("what the other side said before it ended is told first; an end within a message is an error")
    func ends() throws {
        for (rest, isClean) in [([], true), ([1, 0], false)] as [([UInt8], Bool)] {
            let hostile = try Hostile()
            hostile.say(SuccessionMessage.abort("no").bytes + rest)
            // Words of ours that nobody reads are no reason to lose those.
            hostile.end.link.send(.ready([]))
            close(hostile.socket)
            if isClean {
                #expect(try hostile.end.link.turn().count == 1)
                #expect(hostile.end.link.hasEnded && hostile.end.link.waiting == 0)
                hostile.end.link.send(.ready([]))
                #expect(try hostile.end.link.turn().isEmpty)
                var interest = pollfd(fd: hostile.end.link.number, events: Int16(POLLIN), revents: 0)
                #expect(poll(&interest, 1, 0) == 0)
            } else {
                #expect(throws: SuccessionFailure.cutShort) { _ = try hostile.end.link.turn() }
            }
        }
    }

    @Test("descriptors that nobody announced, too many or too few of them, are errors")
    func descriptors() throws {
        let connection = SuccessionMessage.connection(
            .init(worker: 0, received: 0, record: [1]), PassedDescriptors(adopting: [dup(1)])
        ).bytes
        let cases: [([UInt8], Int)] = [
            (SuccessionMessage.ready([]).bytes, 1), (connection, 2), (connection, 0), (connection + connection, 1),
            (Array(connection[..<4]), 300), ([0, 0, 0, 0, 7, 0, 9, 0], 9),
        ]
        for (bytes, count) in cases {
            let hostile = try Hostile()
            defer { close(hostile.socket) }
            if count > DescriptorSocket.mostDescriptors {
                for byte in bytes { hostile.say([byte], descriptors: DescriptorSocket.mostDescriptors) }
            } else {
                hostile.say(bytes, descriptors: count)
            }
            #expect(throws: SuccessionFailure.self) { _ = try hostile.end.link.turn() }
        }
    }

    @Test("a descriptor that is none is an error here, and is not sent without")
    func noDescriptor() throws {
        let ends = try Ends()
        let share = SuccessionMessage.ConnectionShare(worker: 0, received: 0, record: [1])
        // A number that no process has; to close it again does nothing.
        ends.near.link.send(.connection(share, PassedDescriptors(adopting: [0x7FFF_FFFE])))
        #expect(throws: SuccessionFailure.system(Errno(EBADF))) { _ = try ends.near.link.turn() }
        #expect(try ends.far.link.turn().isEmpty)
    }

    @Test("random bytes, with descriptors or without, are an error sooner or later, and leave no descriptor open")
    func random() throws {
        var random = SeededRandom(seed: 77)
        for _ in 0..<300 {
            let hostile = try Hostile()
            defer { close(hostile.socket) }
            for _ in 0..<4 {
                let bytes = (0..<Int.random(in: 1..<40, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
                hostile.say(bytes, descriptors: Int.random(in: 0..<3, using: &random))
                guard (try? hostile.end.link.turn()) != nil else { break }
            }
        }
    }
}
