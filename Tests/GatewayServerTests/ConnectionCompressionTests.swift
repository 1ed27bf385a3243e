import Bytes
import CGatewayABI
import GatewayControl
import TestSupport
import Testing
import WebSocket

@testable import GatewayServer

@Suite("RFC 7692: messages of a connection are compressed where that was agreed on")
struct ConnectionCompressionTests {
    private static let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    private static let long = Array(String(repeating: "a message to compress, ", count: 100).utf8)

    /// What the gateway said it agrees to.
    private func agreed(_ peer: StepWorker.Peer) -> String? {
        let prefix = "Sec-WebSocket-Extensions: permessage-deflate"
        let line = peer.response().split(separator: "\r\n").first { $0.hasPrefix(prefix) }
        return line.map { String($0.dropFirst(prefix.count)) }
    }

    private func open(_ steps: StepWorker, _ agreed: String = "", offer: String = offer) -> StepWorker.Peer {
        let peer = steps.open(headers: offer)
        #expect(self.agreed(peer) == agreed)
        return peer
    }

    private static let bothWays = "; server_no_context_takeover; client_no_context_takeover"

    /// A client's side of the extension.
    private struct Codec {
        let deflater: Deflater
        let inflater: Inflater

        init(keepsContext: Bool) throws {
            deflater = try #require(Deflater(.init(level: 6, windowBits: 15), keepsContext: keepsContext))
            inflater = try #require(Inflater(windowBits: 15, keepsContext: keepsContext))
        }

        func frame(_ payload: [UInt8], opcode: UInt8 = 1, isFinal: Bool = true) -> ClientFrame {
            var output = ByteBuffer()
            let isSmaller = payload.withUnsafeBytes { deflater.deflate($0, into: &output) }
            #expect(isSmaller)
            return ClientFrame(opcode, Array(output.bytes), isFinal: isFinal).with { $0.reserved = 0b100 }
        }

        /// The messages in what was heard, and whether each was compressed.
        func messages(_ heard: [UInt8]) -> [(bytes: [UInt8], isCompressed: Bool)] {
            var messages: [(bytes: [UInt8], isCompressed: Bool)] = []
            var rest = heard[...]
            while let first = rest.first, rest.count >= 2 {
                let short = Int(rest[rest.startIndex + 1])
                let extra = short == 126 ? 2 : short == 127 ? 8 : 0
                let long = rest.dropFirst(2).prefix(extra).reduce(0) { $0 << 8 | Int($1) }
                let payload = Array(rest.dropFirst(2 + extra).prefix(extra == 0 ? short : long))
                rest = rest.dropFirst(2 + extra + payload.count)
                var output = ByteBuffer()
                if first & 0x40 == 0 {
                    messages.append((payload, false))
                } else {
                    let violation = payload.withUnsafeBytes {
                        inflater.inflate($0, isLast: true, into: &output, limit: 1 << 24)
                    }
                    #expect(violation == nil)
                    messages.append((Array(output.bytes), true))
                }
            }
            return messages
        }
    }

    private func expect(
        _ heard: [UInt8], _ codec: Codec, _ messages: [[UInt8]], isCompressed: Bool = true,
        _ place: SourceLocation = #_sourceLocation
    ) {
        let seen = codec.messages(heard)
        #expect(seen.map(\.bytes) == messages, sourceLocation: place)
        #expect(seen.allSatisfy { $0.isCompressed == isCompressed }, sourceLocation: place)
    }

    @Test(arguments: [
        ("", nil), ("compression off;", nil), ("compression on;", ""),
        ("compression on { window 10; }", "; client_max_window_bits=10"),
        ("compression no-context-takeover;", bothWays),
        ("compression on { memory 0; }", bothWays),
    ])
    func `a route agrees to what it is configured for`(route: String, agreed: String?) throws {
        let steps = try StepWorker(route: route)
        #expect(self.agreed(steps.open(headers: Self.offer)) == agreed)
        #expect(self.agreed(steps.open()) == nil)
    }

    @Test(arguments: ["on", "no-context-takeover"], [1, 7, 4096])
    func `messages go both ways, cut anywhere`(mode: String, size: Int) throws {
        let steps = try StepWorker(route: "compression \(mode);")
        let codec = try Codec(keepsContext: mode == "on")
        let peer = open(steps, mode == "on" ? "" : Self.bothWays)
        for opcode in [1, 2, 1] as [UInt8] {
            var bytes = codec.frame(Self.long, opcode: opcode).bytes[...]
            while !bytes.isEmpty {
                peer.say(Array(bytes.prefix(size)))
                bytes = bytes.dropFirst(size)
                steps.step()
            }
            let heard = peer.heard()
            #expect(heard.first == 0xC0 | opcode)
            #expect(heard.count < 100)
            expect(heard, codec, [Self.long])
        }
    }

    @Test func `fragments of a message are one stream, also where two messages come at once`() throws {
        let steps = try StepWorker(route: "compression no-context-takeover;")
        let codec = try Codec(keepsContext: false)
        let peers = [open(steps, Self.bothWays), open(steps, Self.bothWays)]
        let payload = codec.frame(Self.long).payload
        for start in payload.indices {
            let isLast = start == payload.count - 1
            let frame = ClientFrame(start == 0 ? 1 : 0, [payload[start]], isFinal: isLast).with {
                $0.reserved = start == 0 ? 0b100 : 0
            }
            for peer in peers { peer.say(frame) }
            steps.step()
        }
        for peer in peers { expect(peer.heard(), codec, [Self.long]) }
    }

    @Test func `a kept window makes the second message small`() throws {
        let steps = try StepWorker(route: "compression on;")
        let codec = try Codec(keepsContext: true)
        let peer = open(steps)
        var random = SeededRandom(seed: 5)
        let noise = random.bytes(1000)
        for most in [1100, 40] {
            peer.say(codec.frame(noise, opcode: 2))
            steps.step()
            let heard = peer.heard()
            #expect(heard.count < most)
            expect(heard, codec, [noise])
        }
    }

    @Test func `short messages, and those that do not become smaller, go as they are`() throws {
        let steps = try StepWorker(route: "compression no-context-takeover { threshold 100; }")
        let codec = try Codec(keepsContext: false)
        let peer = open(steps, Self.bothWays)
        var random = SeededRandom(seed: 6)
        for message in [Array(Self.long.prefix(99)), random.bytes(2000)] {
            peer.say(ClientFrame(2, message))
            steps.step()
            expect(peer.heard(), codec, [message], isCompressed: false)
        }
        peer.say(ClientFrame(2, Array(Self.long.prefix(100))))
        steps.step()
        expect(peer.heard(), codec, [Array(Self.long.prefix(100))])
    }

    @Test func `what a handler wants to go as it is goes so, from any thread`() throws {
        let steps = try StepWorker(route: "compression on;")
        let codec = try Codec(keepsContext: true)
        let peer = open(steps)
        let id = try #require(peer.id?.number)
        for (flags, isCompressed) in [(UInt32(GW_NO_COMPRESS), false), (0, true)] {
            let send = {
                let status = Self.long.withUnsafeBytes {
                    steps.host().send(id, UInt32(GW_TEXT), flags, $0.baseAddress, $0.count)
                }
                #expect(status == Status.ok)
            }
            send()
            steps.step()
            expect(peer.heard(), codec, [Self.long], isCompressed: isCompressed)
            steps.onWorker(send)
            steps.turn()
            expect(peer.heard(), codec, [Self.long], isCompressed: isCompressed)
        }
    }

    @Test func `a bomb is 1009, what is broken 1007, and RSV1 unasked 1002`() throws {
        let steps = try StepWorker(route: "compression on; max_message 10k;")
        let codec = try Codec(keepsContext: false)
        let bomb = open(steps)
        bomb.say(codec.frame([UInt8](repeating: 0, count: 1 << 20)))
        steps.step()
        #expect(bomb.frames().map(\.closeCode) == [1009])
        let most = open(steps)
        most.say(codec.frame([UInt8](repeating: 0, count: 10 << 10)))
        steps.step()
        #expect(most.heard().first == 0xC1)
        let broken = open(steps)
        broken.say(ClientFrame(1, [0x07]).with { $0.reserved = 0b100 })
        steps.step()
        #expect(broken.frames().map(\.closeCode) == [1007])
        let binary = open(steps)
        binary.say(codec.frame([0xFF, 0xFE, 0xFD, 0xFF, 0xFE, 0xFD, 0xFF, 0xFE, 0xFD, 0xFF, 0xFE, 0xFD, 0xFF, 0xFE]))
        steps.step()
        #expect(binary.frames().map(\.closeCode) == [1007])
        let unasked = steps.open()
        unasked.say(codec.frame(Self.long))
        steps.step()
        #expect(unasked.frames().map(\.closeCode) == [1002])
    }

    /// What the windows of a connection take.
    private static let windows =
        Deflater.Configuration(level: 1, windowBits: 15).memory(keepsContext: true) + Inflater.memory(windowBits: 15)

    @Test func `windows are promised as long as the route has memory for them, to the byte`() throws {
        let steps = try StepWorker(route: "compression on { memory \(2 * Self.windows); }")
        let first = open(steps)
        _ = open(steps)
        _ = open(steps, Self.bothWays)
        first.finish()
        steps.step()
        #expect(first.place == nil)
        _ = open(steps)
        _ = open(steps, Self.bothWays)
        let less = try StepWorker(route: "compression on { memory \(2 * Self.windows - 1); }")
        _ = open(less)
        _ = open(less, Self.bothWays)
    }

    // MARK: Fragments

    /// What was heard of a message in fragments, and the bits in front of each: FIN, RSV1 and opcode.
    private func fragments(_ heard: [UInt8]) -> (bits: [UInt8], payload: [UInt8]) {
        var (bits, payload, rest) = ([UInt8](), [UInt8](), heard[...])
        while let first = rest.first, rest.count >= 2 {
            let short = Int(rest[rest.startIndex + 1])
            let extra = short == 126 ? 2 : 0
            let long = rest.dropFirst(2).prefix(extra).reduce(0) { $0 << 8 | Int($1) }
            bits.append(first)
            payload += rest.dropFirst(2 + extra).prefix(extra == 0 ? short : long)
            rest = rest.dropFirst(2 + extra + (extra == 0 ? short : long))
        }
        return (bits, payload)
    }

    private func inflated(_ payload: [UInt8], _ codec: Codec) -> String? {
        var output = ByteBuffer()
        let violation = payload.withUnsafeBytes {
            codec.inflater.inflate($0, isLast: true, into: &output, limit: 1 << 20)
        }
        return violation == nil ? String(decoding: output.bytes, as: UTF8.self) : nil
    }

    @Test(arguments: ["on", "no-context-takeover"], ["", "thread "])
    func `a message in fragments is compressed if the first one is long enough`(mode: String, thread: String) throws {
        let steps = try StepWorker(handler: "fixture_errands", route: "compression \(mode) { threshold 30; }")
        let agreed = mode == "on" ? "" : Self.bothWays
        let peers = [open(steps, agreed), open(steps, agreed)]
        let codecs = try peers.map { _ in try Codec(keepsContext: mode == "on") }
        // What the handler says at the beginning is shorter than the threshold.
        for peer in peers { _ = peer.heard() }
        for round in 1...2 {
            // Both at once, and a ping between two fragments.
            for peer in peers { peer.say("\(thread)open hello, hello, hello, hello, hello \(round)") }
            steps.step()
            for peer in peers { peer.say(ClientFrame(9, [])) }
            steps.step()
            for peer in peers { peer.say("\(thread)open  again and again", "\(thread)end ") }
            steps.step()
            for (peer, codec) in zip(peers, codecs) {
                let (bits, payload) = fragments(peer.heard())
                #expect(bits == [0x41, 0x8A, 0x00, 0x80])
                #expect(inflated(payload, codec) == "hello, hello, hello, hello, hello \(round) again and again")
            }
        }
        for (peer, codec) in zip(peers, codecs) {
            peer.say("say hello, hello, hello, hello, hello 3")
            steps.step()
            expect(peer.heard(), codec, [Array("hello, hello, hello, hello, hello 3".utf8)])
        }
    }

    @Test func `nothing of a message in fragments is compressed where the first one is not`() throws {
        let steps = try StepWorker(handler: "fixture_errands", route: "compression on { threshold 30; }")
        let peer = open(steps)
        _ = peer.heard()
        let secret = "123456789, not to be compressed"
        for (open, text) in [("open", "12345678"), ("nopen", secret), ("thread nopen", secret)] {
            peer.say("\(open) \(text)", "end , and much behind it")
            steps.step()
            let (bits, payload) = fragments(peer.heard())
            #expect(bits == [0x01, 0x80])
            #expect(String(decoding: payload, as: UTF8.self) == "\(text), and much behind it")
        }
    }

    @Test func `a fragmented message where no window is kept takes of the route's memory until its end`() throws {
        let bytes = Deflater.Configuration(level: 1, windowBits: 15).memory(keepsContext: false)
        let mode = "no-context-takeover { threshold 1; memory \(bytes); }"
        let steps = try StepWorker(handler: "fixture_errands", route: "compression \(mode)")
        let peers = (0..<3).map { _ in open(steps, Self.bothWays) }
        for peer in peers { _ = peer.heard() }
        func begin(_ peer: StepWorker.Peer) -> UInt8? {
            peer.say("open hello")
            steps.step()
            return fragments(peer.heard()).bits.first
        }
        #expect(begin(peers[0]) == 0x41)
        #expect(begin(peers[1]) == 0x01)
        peers[0].say("end .")
        steps.step()
        #expect(begin(peers[2]) == 0x41)
        // One that leaves in the middle gives it back as well.
        peers[2].finish()
        steps.step()
        #expect(peers[2].place == nil)
        _ = peers[0].heard()
        #expect(begin(peers[0]) == 0x41)
    }

    @Test func `what was compressed is counted for the route, and outlives its connections`() throws {
        let steps = try StepWorker(route: "compression no-context-takeover;")
        let codec = try Codec(keepsContext: false)
        let peer = open(steps, Self.bothWays)
        #expect(steps.route().compressionReport == StatusReport.Compression())
        steps.stride = 1000
        let frame = codec.frame(Self.long)
        peer.say(frame)
        peer.say(ClientFrame(1, Array("not compressed".utf8)))
        steps.step()
        let sent = fragments(peer.heard()).payload.count - "not compressed".utf8.count
        peer.finish()
        steps.step()
        let report = try #require(steps.route().compressionReport)
        #expect(report.received.plainBytes == Self.long.count)
        #expect(report.received.compressedBytes == frame.payload.count)
        #expect(report.received.nanoseconds == 1000)
        #expect(report.sent.plainBytes == Self.long.count)
        #expect(report.sent.compressedBytes == sent)
        #expect(report.sent.nanoseconds == 1000)
        #expect(try StepWorker().route().compressionReport == nil)
    }

    @Test func `a publication that is not to be compressed is not, between two that are`() throws {
        let mode = "no-context-takeover { threshold 1; }"
        let steps = try StepWorker(handler: "fixture_errands", route: "compression \(mode)")
        let codec = try Codec(keepsContext: false)
        let peers = (0..<2).map { _ in open(steps, Self.bothWays) }
        for peer in peers { peer.say("sub room") }
        steps.step()
        for peer in peers { _ = peer.heard() }
        let text = String(repeating: "again ", count: 20)
        for commands in [["pub", "npub", "pub"], ["thread npub"], ["thread pub"]] {
            for command in commands { peers[0].say("\(command) room \(text)") }
            steps.step()
            for peer in peers {
                let messages = codec.messages(peer.heard())
                #expect(messages.map(\.isCompressed) == commands.map { !$0.hasSuffix("npub") })
                #expect(messages.allSatisfy { $0.bytes == Array(text.utf8) })
            }
        }
    }

    @Test(arguments: [500, 20_000]) func `a publication is compressed for those that keep no window`(size: Int) throws {
        let steps = try StepWorker(handler: "fixture_errands", route: "compression on;")
        let codec = try Codec(keepsContext: false)
        let sharing = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"
        let compressed = (0..<2).map { _ in open(steps, "; server_no_context_takeover", offer: sharing) }
        let plain = [open(steps), steps.open()]
        for peer in compressed + plain { peer.say("sub room") }
        steps.step()
        for peer in compressed + plain { _ = peer.heard() }
        plain[1].say("flood room 3 \(size)")
        steps.step()
        let heard = (compressed + plain).map { $0.heard() }
        #expect(heard[0] == heard[1] && heard[2] == heard[3])
        #expect(heard[0].count * 3 < heard[2].count)
        let (small, large) = (codec.messages(heard[0]), codec.messages(heard[2]))
        #expect(small.map(\.bytes) == large.map(\.bytes) && small.map(\.bytes.count) == [size, size, size])
        #expect(small.allSatisfy(\.isCompressed) && !large.contains(where: \.isCompressed))
    }

    @Test func `a handler that takes pieces gets them decompressed`() throws {
        let steps = try StepWorker(handler: "fixture_probe_stream", route: "compression on;")
        let codec = try Codec(keepsContext: true)
        let peer = open(steps)
        let frame = codec.frame(Array("in pieces, all of it".utf8))
        let cut = frame.bytes.count - 8
        peer.say(Array(frame.bytes[..<cut]))
        steps.step()
        peer.say(Array(frame.bytes[cut...]))
        steps.step()
        // Number of the connection, "piece", kind, flags, text and a full stop.
        let pieces = steps.record().map { $0.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: false) }
            .filter { $0.count == 5 && $0[1] == "piece" }
        #expect(pieces.first?[3] == "\(GW_FIRST | GW_COMPRESSED)")
        #expect(pieces.last?[3] == "\(GW_FIN | GW_COMPRESSED)")
        #expect(pieces.map { $0[4].dropLast() }.joined() == "in pieces, all of it")
    }

    @Test func `a handler is told which messages came compressed`() throws {
        let steps = try StepWorker(handler: "fixture_probe", route: "compression on;")
        let codec = try Codec(keepsContext: true)
        let peer = open(steps)
        peer.say(codec.frame(Self.long, opcode: 2))
        peer.say(ClientFrame(2, Self.long))
        steps.step()
        // Number of the connection, "message", kind, flags and length.
        let messages = steps.record().map { $0.split(separator: " ") }.filter { $0.count == 5 && $0[1] == "message" }
        let whole = GW_FIRST | GW_FIN
        #expect(messages.map { $0[3] } == ["\(whole | GW_COMPRESSED)", "\(whole)"])
        #expect(messages.allSatisfy { $0[4] == "\(Self.long.count)" })
    }
}
