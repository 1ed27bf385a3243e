import TestSupport
import Testing
import WebSocket

@Suite("What a stream of frames means does not depend on how it is cut")
struct FrameReaderPropertyTests {
    static let limits = FrameReader.Limits(frame: 400, message: 900)

    /// A stream of frames that break no rule, and what it means.
    private func legal(_ random: inout SeededRandom) -> (bytes: [UInt8], seen: [Seen]) {
        var bytes: [UInt8] = []
        var seen: [Seen] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let kind = random.once(in: 2) ? Opcode.text : .binary
            var whole: [UInt8] = []
            let fragments = random.once(in: 2) ? 1 : Int.random(in: 1...4, using: &random)
            for index in 0..<fragments {
                while random.once(in: 3) {
                    let opcode = random.once(in: 2) ? Opcode.ping : .pong
                    let body = random.bytes(Int.random(in: 0...(random.once(in: 4) ? 125 : 8), using: &random))
                    bytes += frame(opcode.rawValue, body, true, &random)
                    seen.append(.control(opcode, body))
                }
                let payload = random.bytes(Int.random(in: 0...(random.once(in: 4) ? 200 : 12), using: &random))
                bytes += frame(index == 0 ? kind.rawValue : 0, payload, index == fragments - 1, &random)
                whole += payload
            }
            seen.append(.message(kind, whole))
        }
        return (bytes, seen)
    }

    private func frame(
        _ opcode: UInt8, _ payload: [UInt8], _ isFinal: Bool, _ random: inout SeededRandom
    ) -> [UInt8] {
        var frame = ClientFrame(opcode, payload, isFinal: isFinal)
        frame.key = random.bytes(4)
        return frame.bytes
    }

    private func cuts(_ count: Int, _ random: inout SeededRandom) -> [Int] {
        (0..<Int.random(in: 0...8, using: &random)).map { _ in Int.random(in: 0...count, using: &random) }.sorted()
    }

    @Test("legal streams", arguments: 0..<150 as Range<UInt64>)
    func legalStreams(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let (bytes, seen) = legal(&random)
        for way in FrameSession.Way.allCases {
            #expect(FrameSession.run(bytes, limits: Self.limits, way: way) == seen)
            #expect(FrameSession.run(bytes, cuts: Array(0...bytes.count), limits: Self.limits, way: way) == seen)
            for _ in 0..<10 {
                let cuts = cuts(bytes.count, &random)
                #expect(FrameSession.run(bytes, cuts: cuts, limits: Self.limits, way: way) == seen, "\(cuts)")
            }
        }
    }

    @Test("mutated streams: never a trap, always the same events", arguments: 0..<400 as Range<UInt64>)
    func mutatedStreams(seed: UInt64) {
        var random = SeededRandom(seed: seed &+ 1_000_000)
        var bytes = random.once(in: 5) ? random.bytes(80) : legal(&random).bytes
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[at] = UInt8.random(in: .min ... .max, using: &random)
            case 1: bytes[at] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 2: bytes.remove(at: at)
            case 3: bytes.insert(contentsOf: random.bytes(Int.random(in: 1...4, using: &random)), at: at)
            default: bytes.removeLast(bytes.count - at)
            }
        }
        let whole = FrameSession.run(bytes, limits: Self.limits)
        #expect(FrameSession.run(bytes, cuts: Array(0...bytes.count), limits: Self.limits) == whole)
        for way in FrameSession.Way.allCases {
            for _ in 0..<8 {
                let cuts = cuts(bytes.count, &random)
                #expect(FrameSession.run(bytes, cuts: cuts, limits: Self.limits, way: way) == whole, "\(cuts)")
            }
        }
    }
}
