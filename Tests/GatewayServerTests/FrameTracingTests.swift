import Bytes
import GatewayControl
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

@Suite("gateway trace: frames in both directions, and no short way around it")
struct FrameTracingTests {
    /// Somebody who follows connections of a worker.
    private struct Follower {
        let tracer: Tracer
        private let writer: TraceWriter
        private let steps: StepWorker

        init(_ target: TraceQuery.Target, _ steps: StepWorker, _ adjust: (inout TraceQuery) -> Void = { _ in }) throws {
            var query = TraceQuery(target)
            adjust(&query)
            self.steps = steps
            tracer = Tracer(query, for: 1, workers: 1, bell: try ControlWaker())
            writer = TraceWriter(query)
            steps.worker.port.post(.trace(tracer, from: 0, found: 0))
            steps.step()
        }

        /// What it was told since the last time, without time and connection.
        func lines() -> [String] {
            tracer.take().records.map { record in
                let line = writer.line(record, at: "T").dropLast()
                return line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false).dropFirst(2).joined()
            }
        }

        func end() {
            steps.worker.port.post(.endTrace(tracer, from: 0))
            steps.step()
        }
    }

    private func text(_ text: String, isFinal: Bool = true) -> ClientFrame {
        ClientFrame(1, Array(text.utf8), isFinal: isFinal)
    }

    /// Whether what is sent to it goes a longer way.
    private func isInspected(_ peer: StepWorker.Peer) throws -> Bool {
        let place = try #require(peer.place)
        return place.pointee.flags.contains(.inspected)
    }

    @Test func `what comes and what goes, before and behind the handler`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let follower = try Follower(.connection(try #require(peer.id).number), steps)
        #expect(follower.tracer.connections == 1)
        peer.say(text("one").bytes + text("two").bytes)
        steps.step()
        #expect(
            follower.lines() == [
                #"in  text 3 "one""#, #"out text 3 "one""#, #"in  text 3 "two""#, #"out text 3 "two""#,
            ])
        #expect(peer.frames().map(\.text) == ["one", "two"])
        peer.say(ClientFrame(2, [1, 2]).bytes + ClientFrame(9, [7]).bytes + ClientFrame(10, []).bytes)
        steps.step()
        #expect(
            follower.lines() == [
                "in  binary 2 0102", "out binary 2 0102", "in  ping 1 07", "out pong 1 07", "in  pong 0",
            ])
        peer.sayClose(4001, "bye")
        steps.step()
        #expect(
            follower.lines() == [
                #"in  close 5 code=4001 "bye""#, #"out close 5 code=4001 "bye""#, "end code=4001 by=peer",
            ])
        #expect(follower.tracer.isOver)
    }

    @Test func `frames that come bit by bit are told once, and fragments as they are`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let follower = try Follower(.route("/echo"), steps)
        for byte in text("he", isFinal: false).bytes + ClientFrame(0, Array("llo".utf8)).bytes {
            peer.say([byte])
            steps.step()
        }
        #expect(
            follower.lines() == [
                #"in  text fin=0 2 "he""#, #"in  continuation 3 "llo""#, #"out text 5 "hello""#,
            ])
        // A large one goes straight to its place in memory.
        peer.say(ClientFrame(2, Array(repeating: 7, count: 200_000)).bytes)
        steps.step()
        let long = String(repeating: "07", count: 128) + "…"
        #expect(follower.lines() == ["in  binary 200000 \(long)", "out binary 200000 \(long)"])
    }

    @Test func `whoever comes later on the route is followed, and nobody else`() throws {
        let steps = try StepWorker(rest: "route /other { handler echo; }")
        let follower = try Follower(.route("/echo"), steps)
        #expect(follower.tracer.connections == 0)
        let (peer, other) = (steps.open(), steps.open("/other"))
        #expect(follower.lines() == ["open - route=/echo"])
        other.say("unheard")
        peer.say("heard")
        steps.step()
        #expect(follower.lines() == [#"in  text 5 "heard""#, #"out text 5 "heard""#])
        #expect(other.frames().map(\.text) == ["unheard"])
        let second = try Follower(.route("/other"), steps) { $0.isRedacted = true }
        other.say("unheard")
        steps.step()
        #expect(second.lines() == ["in  text 7", "out text 7"])
        #expect(follower.lines() == [])
        // It is over for one, and goes on for the other.
        follower.end()
        peer.say("unheard")
        other.say("heard")
        steps.step()
        #expect(follower.lines() == [] && second.lines().count == 2)
        #expect(try !isInspected(peer))
        second.end()
        #expect(!steps.worker.tracing.isActive)
        #expect(try !isInspected(other))
    }

    @Test func `publications are told one by one, to each who hears them`() throws {
        let steps = try StepWorker(handler: "fixture_errands")
        let (peer, publisher) = (steps.open(), steps.open())
        peer.say("sub room")
        steps.step()
        let follower = try Follower(.connection(try #require(peer.id).number), steps)
        publisher.say("pub room one", "pub room two")
        steps.step()
        #expect(follower.lines() == [#"out text 3 "one""#, #"out text 3 "two""#])
        // What stands before what it is sent by itself, and what another thread publishes.
        peer.say("!pub room three")
        steps.step()
        let lines = follower.lines()
        #expect(lines.first == #"in  text 15 "!pub room three""#)
        #expect(lines.filter { $0.hasPrefix("out") }.count == 2 && lines.contains(#"out text 5 "three""#))
        let heard = peer.frames().map(\.text)
        #expect(heard.suffix(4).contains("three") && heard.contains("one") && heard.contains("two"))
    }

    @Test func `compressed messages are shown as they were before`() throws {
        let steps = try StepWorker(route: "compression on { threshold 1; }")
        let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        let peer = steps.open(headers: offer)
        let follower = try Follower(.route("/echo"), steps) { $0.limit = 5 }
        let long = Array(String(repeating: "hello ", count: 50).utf8)
        let deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: true))
        var output = ByteBuffer()
        let isSmaller = long.withUnsafeBytes { deflater.deflate($0, into: &output) }
        try #require(isSmaller)
        peer.say(ClientFrame(1, Array(output.bytes)).with { $0.reserved = 0b100 })
        steps.step()
        let lines = follower.lines()
        #expect(lines.count == 2)
        #expect(lines.first == "in  text \(output.count) rsv1 inflated=300 \"hello\"…")
        #expect(lines.last?.hasPrefix("out text ") == true)
        #expect(lines.last?.hasSuffix(" rsv1 inflated=300 \"hello\"…") == true)
        // It goes on to be compressed when nobody follows any more.
        follower.end()
        #expect(try isInspected(peer))
    }

    @Test func `what breaks a rule is told with its reason`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let follower = try Follower(.connection(try #require(peer.id).number), steps)
        peer.say(ClientFrame(3, []))
        steps.step()
        let lines = follower.lines()
        #expect(lines.first?.hasPrefix("in  refused: ") == true)
        #expect(lines.dropFirst().first?.hasPrefix("out close ") == true)
        #expect(lines.last == "end code=1002 by=gateway")
    }

    @Test func `whoever does not read misses some, and hears how much`() throws {
        let steps = try StepWorker(route: "send_buffer 64m;")
        let peer = steps.open()
        let follower = try Follower(.route("/echo"), steps)
        let frame = text("x").bytes
        for _ in 0..<100 {
            peer.say((0..<100).flatMap { _ in frame })
            steps.step()
        }
        let (records, dropped) = follower.tracer.take()
        #expect(records.count == 8192 && dropped == 20_000 - 8192)
        #expect(peer.frames().count == 10_000)
        peer.say("again")
        steps.step()
        #expect(follower.lines().count == 2)
    }

    @Test func `a connection that is followed counts and ages like any other`() throws {
        let steps = try StepWorker()
        let peer = steps.open()
        let follower = try Follower(.route("/echo"), steps)
        for _ in 0..<3 {
            peer.say("hello")
            steps.step(ticks: 1)
        }
        steps.step(ticks: 2)
        let place = try #require(peer.place)
        let messages = [place.pointee.messagesIn, place.pointee.messagesOut]
        #expect(messages == [3, 3])
        let reading = steps.binding().pointee.instanceContext.counters.reading
        #expect(reading.received.text == 3 && reading.sent.text == 3)
        #expect(reading.received.bytes == 33 && reading.sent.bytes == 21)
        follower.end()
    }
}
