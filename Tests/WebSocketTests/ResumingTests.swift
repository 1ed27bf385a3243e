import Bytes
import TestSupport
import Testing
import WebSocket

/// What one process has read by half another one reads on: whatever the cut, what comes out is the same.
@Suite("What has come by half goes on elsewhere")
struct ResumingTests {
    // MARK: Frames

    /// Text and binary messages whole and in fragments, with control frames between those.
    private func stream(_ random: inout SeededRandom) -> [UInt8] {
        var bytes: [UInt8] = []
        for index in 0..<4 {
            let fragments = Int.random(in: 1...3, using: &random)
            for fragment in 0..<fragments {
                if random.once(in: 2) { bytes += ClientFrame(9, random.bytes(5)).bytes }
                let payload = Array("añ€😀\(index).\(fragment)".utf8)
                bytes +=
                    ClientFrame(
                        fragment == 0 ? UInt8(1 + index % 2) : 0, payload, isFinal: fragment == fragments - 1
                    ).with { $0.key = random.bytes(4) }.bytes
            }
        }
        return bytes
    }

    @Test(arguments: 0..<40 as Range<UInt64>)
    func `a reader of frames, at every cut`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let bytes = stream(&random)
        let whole = FrameSession.run(bytes)
        for cut in 0...bytes.count { #expect(FrameSession.run(bytes, cuts: [cut], resumes: true) == whole, "\(cut)") }
        #expect(FrameSession.run(bytes, cuts: Array(0...bytes.count), resumes: true) == whole)
    }

    @Test func `no reader stands where none can`() {
        func isRefused(_ change: (inout FrameReader.Snapshot) -> Void) -> Bool {
            var snapshot = FrameReader.Snapshot()
            change(&snapshot)
            let reader = FrameReader(resuming: snapshot)
            return reader == nil
        }
        #expect(!isRefused { _ in })
        #expect(!isRefused { ($0.kind, $0.remaining, $0.messageLength) = (.text, 5, 9) })
        #expect(!isRefused { ($0.kind, $0.isFinal, $0.messageLength) = (.binary, false, 9) })
        #expect(isRefused { ($0.remaining, $0.messageLength) = (5, 9) })
        #expect(isRefused { ($0.kind, $0.remaining, $0.messageLength) = (.text, 5, 4) })
        #expect(isRefused { ($0.kind, $0.remaining, $0.messageLength) = (.text, -1, 4) })
        #expect(isRefused { ($0.kind, $0.messageLength) = (.text, 4) })
        #expect(isRefused { ($0.kind, $0.remaining, $0.messageLength) = (.ping, 5, 9) })
        #expect(isRefused { $0.isCompressed = true })
        #expect(isRefused { ($0.kind, $0.remaining, $0.messageLength, $0.isCompressed) = (.text, 5, 9, true) })
        #expect(isRefused { ($0.allowsCompression, $0.isCompressed) = (true, true) })
    }

    // MARK: Text and messages

    @Test func `a checker of text, at every cut`() throws {
        for text in ["a", "ñ", "€", "😀", "añ€😀b"].map({ Array($0.utf8) }) {
            for cut in 0...text.count {
                var first = UTF8Checker()
                #expect(text[..<cut].withUnsafeBytes { first.accept($0) })
                var second = try #require(UTF8Checker(unfinished: first.unfinished))
                #expect(text[cut...].withUnsafeBytes { second.accept($0) } && second.isComplete)
            }
        }
        for wrong: [UInt8] in [[0x61], [0x80], [0xC0], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80], [0xED, 0xA0]] {
            #expect(UTF8Checker(unfinished: wrong) == nil)
        }
    }

    /// The messages of a stream, or nil where it is not UTF-8; after each byte another assembler goes on.
    private func assemble(_ frames: [ClientFrame], resumes: Bool) throws -> [[UInt8]]? {
        var reader = FrameReader()
        var assembler = MessageAssembler()
        var large = LargeBufferCache()
        var messages: [[UInt8]] = []
        var buffer: [UInt8] = []
        for byte in frames.flatMap(\.bytes) {
            buffer.append(byte)
            var position = 0
            while position < buffer.count {
                let event = buffer.withUnsafeMutableBytes {
                    reader.next(in: $0, from: &position, limits: .init(frame: 1 << 20, message: 1 << 20))
                }
                guard case .piece(let piece) = event else { break }
                let run = buffer[piece.start..<piece.start + piece.count]
                let outcome = run.withUnsafeBytes {
                    assembler.join(piece, $0, remaining: reader.remaining, checksText: true, largeBuffers: &large)
                }
                switch outcome {
                case .whole: messages.append(Array(run))
                case .assembled:
                    let message = assembler.takeMessage()
                    messages.append(Array(message.bytes))
                case .incomplete: break
                case .invalidUTF8: return nil
                }
            }
            buffer.removeFirst(position)
            guard resumes else { continue }
            let snapshot = reader.snapshot
            let isText = snapshot.kind == .text
            guard let next = MessageAssembler(resuming: assembler.kept, isText: isText) else { return nil }
            assembler = next
            guard let next = FrameReader(resuming: snapshot) else { return nil }
            reader = next
        }
        return messages
    }

    @Test func `an assembler of messages, at every byte`() throws {
        let euro = Array("€".utf8)
        let frames = [
            ClientFrame(1, [0x61, euro[0]], isFinal: false), ClientFrame(0, [euro[1]], isFinal: false),
            ClientFrame(0, [euro[2]]), ClientFrame(2, [0xFF], isFinal: false), ClientFrame(0, [0xFE]),
            ClientFrame(1, Array("añ€😀".utf8)),
        ]
        let messages = [[0x61] + euro, [0xFF, 0xFE], Array("añ€😀".utf8)]
        #expect(try assemble(frames, resumes: false) == messages)
        #expect(try assemble(frames, resumes: true) == messages)
        let wrong = [ClientFrame(1, [euro[0]], isFinal: false), ClientFrame(0, [0x61])]
        #expect(try assemble(wrong, resumes: true) == nil)
        let checked = MessageAssembler(resuming: [0xFF], isText: true)
        let unchecked = MessageAssembler(resuming: [0xFF], isText: false)
        #expect(checked == nil && unchecked != nil)
    }

    // MARK: Compression

    private func inflate(_ message: [UInt8], with inflater: Inflater) -> [UInt8]? {
        var output = ByteBuffer()
        let violation = message.withUnsafeBytes { inflater.inflate($0, isLast: true, into: &output, limit: 1 << 20) }
        return violation == nil ? Array(output.bytes) : nil
    }

    /// What repeats itself near and far, so that windows matter.
    private func messages(_ random: inout SeededRandom) -> [[UInt8]] {
        let words = (0..<40).map { _ in random.bytes(Int.random(in: 4...60, using: &random)) }
        return (0..<40).map { _ in
            (0..<Int.random(in: 1...60, using: &random)).flatMap { _ in words.randomElement(using: &random) ?? [] }
        }
    }

    @Test(arguments: [1, 3, 6, 9], [9, 12, 15])
    func `both windows of a connection, between any two messages`(level: Int, windowBits: Int) throws {
        var random = SeededRandom(seed: UInt64(level * 100 + windowBits))
        let configuration = Deflater.Configuration(level: level, windowBits: windowBits)
        var deflater = try #require(Deflater(configuration, keepsContext: true))
        var inflater = try #require(Inflater(windowBits: windowBits, keepsContext: true))
        let steady = try #require(Inflater(windowBits: windowBits, keepsContext: true))
        for (index, message) in messages(&random).enumerated() {
            var packed = ByteBuffer()
            #expect(message.withUnsafeBytes { deflater.deflate($0, into: &packed) })
            let bytes = Array(packed.bytes)
            // Neither the client that stays nor the one that is moved along sees any of it.
            #expect(inflate(bytes, with: inflater) == message, "\(index)")
            #expect(inflate(bytes, with: steady) == message, "\(index)")
            deflater = try #require(Deflater(configuration, keepsContext: true, resuming: deflater.window))
            inflater = try #require(
                Inflater(windowBits: windowBits, keepsContext: true, resuming: inflater.window))
        }
    }

    @Test func `a message in pieces goes on with another deflater`() throws {
        for level in [1, 6] {
            let configuration = Deflater.Configuration(level: level, windowBits: 15)
            var deflater = try #require(Deflater(configuration, keepsContext: true))
            let inflater = try #require(Inflater(windowBits: 15, keepsContext: true))
            var packed = ByteBuffer()
            let pieces = ["one and ", "one and ", "", "one"].map { Array($0.utf8) }
            for (index, piece) in pieces.enumerated() {
                piece.withUnsafeBytes { deflater.deflate(piece: $0, isLast: index == 3, into: &packed) }
                deflater = try #require(Deflater(configuration, keepsContext: true, resuming: deflater.window))
            }
            #expect(inflate(Array(packed.bytes), with: inflater) == Array("one and one and one".utf8))
        }
    }

    @Test func `the window of zlib is carried: what repeats itself stays small`() throws {
        var random = SeededRandom(seed: 5)
        let noise = random.bytes(2000)
        let configuration = Deflater.Configuration(level: 6, windowBits: 15)
        let first = try #require(Deflater(configuration, keepsContext: true))
        var packed = ByteBuffer()
        _ = noise.withUnsafeBytes { first.deflate($0, into: &packed) }
        #expect(first.window == noise)
        let second = try #require(Deflater(configuration, keepsContext: true, resuming: first.window))
        packed.removeAll()
        _ = noise.withUnsafeBytes { second.deflate($0, into: &packed) }
        let count = packed.count
        #expect(count < 100)
    }

    @Test func `no window, one that is too long, and one that isa-l gets`() throws {
        let long = SeededRandom.noise(70_000)
        let inflater = try #require(Inflater(windowBits: 15, keepsContext: true, resuming: long))
        #expect(inflater.window == Array(long.suffix(1 << 15)))
        let none = try #require(Inflater(windowBits: 15, keepsContext: true, resuming: []))
        #expect(none.window.isEmpty)
        for level in [0, 1, 2, 3, 6] {
            let deflater = try #require(
                Deflater(.init(level: level, windowBits: 15), keepsContext: true, resuming: long))
            let message = Array(long.suffix(3000))
            var packed = ByteBuffer()
            #expect(message.withUnsafeBytes { deflater.deflate($0, into: &packed) })
            let client = try #require(Inflater(windowBits: 15, keepsContext: true, resuming: long))
            #expect(inflate(Array(packed.bytes), with: client) == message, "level \(level)")
        }
    }

    @Test func `what was agreed on elsewhere is held to what can be`() {
        func agree(_ server: Int, _ client: Int) -> DeflateParameters? {
            DeflateParameters(
                serverNoContextTakeover: true, clientNoContextTakeover: false, serverWindowBits: server,
                clientWindowBits: client)
        }
        #expect(agree(15, 8)?.serverNoContextTakeover == true && agree(9, 15)?.clientWindowBits == 15)
        #expect(agree(8, 15) == nil && agree(16, 15) == nil && agree(15, 7) == nil && agree(15, 16) == nil)
    }
}

extension SeededRandom {
    fileprivate static func noise(_ count: Int) -> [UInt8] {
        var random = SeededRandom(seed: 7)
        return random.bytes(count)
    }
}
