import GatewayIO
import HTTP
import Testing

@testable import GatewayHTTP2

/// Both ends of a connection of HTTP/2, in memory.
final class HTTP2SessionTests {
    private let server: HTTP2Session
    private let client: HTTP2Session
    private let socket = Socket(adopting: -1)

    init() throws {
        server = try #require(HTTP2Session(.server, HTTP2Settings(maxStreams: 3), HTTP2Underlay(), SpareBuffer()))
        client = try #require(HTTP2Session(.client, HTTP2Settings(), HTTP2Underlay(), SpareBuffer()))
    }

    /// Carries over what both have to say, until neither has more.
    private func exchange(now: UInt64 = 0) {
        var goesOn = true
        while goesOn {
            goesOn = carry(from: client, to: server, now)
            goesOn = carry(from: server, to: client, now) || goesOn
        }
    }

    private func carry(from: HTTP2Session, to: HTTP2Session, _ now: UInt64) -> Bool {
        var bytes: [UInt8] = []
        _ = from.collect(atMost: .max) { bytes.append(contentsOf: $0) }
        if bytes.isEmpty { return false }
        _ = bytes.withUnsafeBytes { to.receive($0, now: now) }
        return true
    }

    private func connect(_ path: String = "/echo") -> FieldList {
        var fields = FieldList()
        for (name, value) in [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a"),
            (":path", path), ("sec-websocket-version", "13"),
        ] { fields.append(name, value) }
        return fields
    }

    private func read(_ stream: HTTP2Stream, atMost count: Int = 1 << 20) -> (bytes: [UInt8], result: IOResult) {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes { stream.read(socket, into: $0) }
        if case .moved(let moved) = result { return (Array(bytes[..<moved]), result) }
        return ([], result)
    }

    private func write(_ stream: HTTP2Stream, _ bytes: [UInt8]) -> IOResult {
        bytes.withUnsafeBytes { stream.write(socket, $0) }
    }

    /// Both ends of one stream, which the server has accepted.
    private func open() throws -> (ours: HTTP2Stream, theirs: HTTP2Stream) {
        exchange()
        let theirs = try #require(client.request(connect()))
        exchange()
        let ours = try #require(server.takeTouched().last)
        #expect(ours.request == .webSocket)
        #expect(read(ours).bytes.starts(with: Array("GET /echo HTTP/1.1\r\nhost: a\r\n".utf8)))
        ours.answer(FieldList(status: 200))
        exchange()
        #expect(theirs.response?.first(":status").map { Array($0) } == Array("200".utf8))
        _ = client.takeTouched()
        return (ours, theirs)
    }

    @Test func `a stream is open both ways`() throws {
        let (ours, theirs) = try open()
        #expect(client.peerTakesConnect)
        #expect(write(theirs, [1, 2, 3]) == .moved(3) && write(ours, [4]) == .moved(1))
        exchange()
        #expect(read(ours).bytes == [1, 2, 3] && read(theirs).bytes == [4])
        #expect(read(ours).result == .wouldBlock && !ours.hasInput)
        theirs.finishSending(socket)
        exchange()
        #expect(server.takeTouched().contains { $0 === ours } && ours.hasInput)
        #expect(read(ours).result == .endOfStream && !ours.hasInput)
        ours.finishSending(socket)
        exchange()
        #expect(read(theirs).result == .endOfStream && server.streamCount == 0 && client.streamCount == 0)
    }

    @Test func `what is not read holds its own stream back and no other`() throws {
        let (slow, fast) = (try open(), try open())
        let much = [UInt8](repeating: 7, count: 48 * 1024)
        var sent = 0
        while case .moved(let count) = write(slow.theirs, much) {
            sent += count
            exchange()
        }
        // The window of the one end, and what waits at the other.
        #expect(sent == HTTP2Settings.streamWindow + HTTP2Stream.roomForOutput)
        #expect(write(fast.theirs, [1]) == .moved(1))
        exchange()
        #expect(read(fast.ours).bytes == [1])
        #expect(slow.ours.bytesKept >= HTTP2Settings.streamWindow)
        _ = client.takeRoomy()
        var come = 0
        while case let part = read(slow.ours, atMost: 40_000).bytes, !part.isEmpty {
            come += part.count
            exchange()
        }
        #expect(come == sent && client.takeRoomy().contains { $0 === slow.theirs } && slow.theirs.isDrained)
    }

    @Test func `a reset is a broken connection, of the stream alone`() throws {
        let (one, other) = (try open(), try open())
        one.theirs.resetOnClose()
        one.theirs.close()
        exchange()
        #expect(read(one.ours).result == .failed(Errno(104)))
        #expect(write(one.ours, [1]) == .failed(Errno(32)))
        #expect(write(other.ours, [1]) == .moved(1))
        exchange()
        #expect(read(other.theirs).bytes == [1])
    }

    @Test func `behind a whole answer the peer is asked to send nothing more`() throws {
        let (ours, theirs) = try open()
        #expect(write(ours, [9]) == .moved(1))
        ours.finishSending(socket)
        ours.close()
        exchange()
        #expect(read(theirs).bytes == [9])
        #expect(server.streamCount == 0 && client.streamCount == 0)
    }

    @Test func `one stream more than there may be is refused`() throws {
        for _ in 0..<3 { _ = try open() }
        // The client keeps to the limit by itself, so it is told of one that is higher.
        let fourth = try #require(client.request(connect()))
        exchange()
        #expect(server.streamCount == 3 && fourth.response == nil)
    }

    @Test func `a connection that breaks breaks its streams`() throws {
        let (ours, _) = try open()
        server.cutOff()
        #expect(server.takeTouched().contains { $0 === ours })
        #expect(read(ours).result == .failed(Errno(104)) && server.streamCount == 0)
    }

    @Test func `a session that was cut off is kept by no stream`() throws {
        weak var kept: HTTP2Session?
        var stream: HTTP2Stream?
        do {
            let session = try #require(HTTP2Session(.client, HTTP2Settings(), HTTP2Underlay(), SpareBuffer()))
            stream = session.request(connect())
            kept = session
            session.cutOff()
        }
        #expect(kept == nil && stream?.isBroken == true)
    }

    @Test func `no more is collected at once than is wanted, and nothing of the rest is lost`() throws {
        let (ours, theirs) = try open()
        let said = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(write(ours, said) == .moved(said.count))
        var (heard, most) = ([UInt8](), 0)
        while server.hasOutput {
            var bytes: [UInt8] = []
            #expect(server.collect(atMost: 1) { bytes.append(contentsOf: $0) })
            if bytes.isEmpty { break }
            most = max(most, bytes.count)
            _ = bytes.withUnsafeBytes { client.receive($0, now: 0) }
            heard += read(theirs).bytes
        }
        // A frame at a time, of the size that is allowed at first (RFC 9113 6.5.2).
        #expect(heard == said && most == 16_384 + HTTP2Session.frameHeaderLength)
    }

    @Test func `whoever is told to end opens no more, and the last word is said when all have left`() throws {
        let (ours, theirs) = try open()
        server.shutDown()
        exchange()
        #expect(server.isEnding && !server.isOver)
        #expect(write(ours, [1]) == .moved(1))
        exchange()
        #expect(read(theirs).bytes == [1])
        theirs.finishSending(socket)
        ours.finishSending(socket)
        exchange()
        server.finish()
        exchange()
        #expect(server.isOver && server.failure == nil)
    }

    @Test func `what is no HTTP/2 is given up, and so is a peer that has streams reset on and on`() throws {
        let garbage = Array("GET / HTTP/1.1\r\n\r\n------------".utf8)
        #expect(garbage.withUnsafeBytes { server.receive($0, now: 0) } == false)
        #expect(server.failure?.code == .protocolError)
    }

    @Test(arguments: [(101, false), (100, true)])
    func `empty frames are put up with, up to a point`(_ count: Int, _ isBorne: Bool) throws {
        let (ours, _) = try open()
        let empty: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, UInt8(ours.id)]
        let flood = Array(repeating: empty, count: count).flatMap { $0 }
        _ = flood.withUnsafeBytes { server.receive($0, now: 0) }
        #expect((server.failure == nil) == isBorne)
        if !isBorne { #expect(server.failure?.code == .enhanceYourCalm) }
    }

    @Test func `forbearance comes back with time`() {
        var patience = Forbearance()
        let atOnce = (0..<101).map { _ in patience.bears(at: 1) }
        #expect(atOnce == Array(repeating: true, count: 100) + [false])
        let later = patience.bears(at: 2_000_000_001)
        #expect(later)
    }
}
