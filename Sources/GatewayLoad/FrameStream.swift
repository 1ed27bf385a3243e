import Bytes
package import WebSocket

/// The messages of a run, made once: what is sent, masked and framed, and what has to come back.
///
/// A stream is periodic: some different messages over and over. A few more of them stand behind the period, so that
/// any run of frames under way is contiguous and leaves with one system call.
package struct FrameStream: Sendable {
    /// Frames one behind the other.
    package let frames: [UInt8]
    /// Their payloads, unmasked.
    package let payloads: [UInt8]
    package let payloadLength: Int
    /// That of the longest.
    package let frameLength: Int
    /// Bytes of the frame of each message and of the payload in it, where messages are compressed; empty where all are
    /// alike.
    private let frameLengths: [Int]
    private let packedLengths: [Int]
    /// How many different messages there are.
    package let variants: Int
    /// Bytes after which the stream begins again.
    package let period: Int
    /// 1 or 2.
    package let opcode: UInt8

    /// Memory for different messages: more would only miss the caches of the machine that is measured.
    private static let budget = 4 << 20

    /// - Parameter deflater: compresses the messages that become smaller by it.
    package init(content: LoadPlan.Content, size: Int, depth: Int, deflater: Deflater? = nil) {
        opcode = content == .binary ? 2 : 1
        payloadLength = size
        let header = Self.header(opcode: opcode, length: size)
        frameLength = header.count + 4 + size
        variants = min(64, max(2, Self.budget / frameLength))
        var (frameLengths, packedLengths): ([Int], [Int]) = ([], [])
        var random = Scramble()
        var payloads: [UInt8] = []
        var frames: [UInt8] = []
        payloads.reserveCapacity(variants * size)
        frames.reserveCapacity((variants + depth) * frameLength)
        for _ in 0..<variants {
            let payload = Self.payload(content, size, &random)
            payloads += payload
            let key = UInt32(truncatingIfNeeded: random.next())
            guard let deflater else {
                Self.append(payload[...], header: header, key: key, to: &frames)
                continue
            }
            let start = frames.count
            packedLengths.append(Self.append(payload, opcode, key, packedBy: deflater, to: &frames))
            frameLengths.append(frames.count - start)
        }
        period = frames.count
        (self.frameLengths, self.packedLengths) = (frameLengths, packedLengths)
        while frames.count < period + depth * frameLength {
            let missing = period + depth * frameLength - frames.count
            frames.append(contentsOf: frames[..<min(period, missing)])
        }
        self.payloads = payloads
        self.frames = frames
    }

    /// Bytes of so many frames from one on.
    @inline(__always)
    package func length(of count: Int, from variant: Int) -> Int {
        frameLengths.isEmpty ? count &* frameLength : Self.sum(frameLengths, count, from: variant)
    }

    /// Bytes of so many payloads from one on, as they are on the wire.
    package func packedLength(of count: Int, from variant: Int) -> Int {
        packedLengths.isEmpty ? count &* payloadLength : Self.sum(packedLengths, count, from: variant)
    }

    @inline(never)
    private static func sum(_ lengths: [Int], _ count: Int, from start: Int) -> Int {
        var (sum, index) = (0, start)
        for _ in 0..<count {
            sum &+= lengths[index]
            index = index &+ 1 == lengths.count ? 0 : index &+ 1
        }
        return sum
    }

    /// Appends the frame of a message, compressed where that makes it smaller.
    ///
    /// - Returns: bytes of its payload.
    package static func append(
        _ payload: [UInt8], _ opcode: UInt8, _ key: UInt32, packedBy deflater: Deflater, to frames: inout [UInt8]
    ) -> Int {
        var packed = ByteBuffer()
        guard unsafe payload.withUnsafeBytes({ unsafe deflater.deflate($0, into: &packed) }),
            packed.count < payload.count
        else {
            append(payload[...], header: header(opcode: opcode, length: payload.count), key: key, to: &frames)
            return payload.count
        }
        let bytes = unsafe Array(UnsafeRawBufferPointer(packed.bytes))
        // RFC 7692 6: RSV1 says that it is compressed.
        append(bytes[...], header: header(opcode: 0x40 | opcode, length: bytes.count), key: key, to: &frames)
        return bytes.count
    }

    /// A frame of a client with its mask (RFC 6455 5.3).
    package static func frame(opcode: UInt8, key: UInt32, _ payload: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = []
        append(payload[...], header: header(opcode: opcode, length: payload.count), key: key, to: &frame)
        return frame
    }

    private static func append(
        _ payload: ArraySlice<UInt8>, header: [UInt8], key: UInt32, to frames: inout [UInt8]
    ) {
        frames += header
        for shift: UInt32 in [0, 8, 16, 24] { frames.append(UInt8(truncatingIfNeeded: key >> shift)) }
        let start = frames.count
        frames += payload
        var mask = MaskingKey(word: key.littleEndian)
        unsafe frames.withUnsafeMutableBytes { all in
            unsafe mask.unmask(UnsafeMutableRawBufferPointer(rebasing: all[start...]))
        }
    }

    /// The header of a final frame with the mask bit, without the key.
    private static func header(opcode: UInt8, length: Int) -> [UInt8] {
        let first = 0x80 | opcode
        func bigEndian(_ count: Int) -> [UInt8] {
            (1...count).map { UInt8(truncatingIfNeeded: length >> ((count - $0) * 8)) }
        }
        if length < 126 { return [first, 0x80 | UInt8(length)] }
        if length <= 0xFFFF { return [first, 0x80 | 126] + bigEndian(2) }
        return [first, 0x80 | 127] + bigEndian(8)
    }

    private static func payload(_ content: LoadPlan.Content, _ size: Int, _ random: inout Scramble) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size + 128)
        if content == .records {
            while bytes.count < size { bytes += record(&random) }
            return Array(bytes[..<size])
        }
        while bytes.count < size {
            let number = random.next()
            let wide = wideCharacters[Int(number % 3)]
            if content == .binary {
                bytes.append(UInt8(truncatingIfNeeded: number >> 24))
            } else if content == .utf8, number >> 8 & 3 == 0, bytes.count + wide.count <= size {
                bytes += wide
            } else {
                // 64 characters from "0" on: digits, letters, a few signs.
                bytes.append(0x30 + UInt8(truncatingIfNeeded: number >> 16 & 63))
            }
        }
        return bytes
    }

    /// An object as APIs send many of them.
    private static func record(_ random: inout Scramble) -> [UInt8] {
        let (number, value) = (random.next() % 1_000_000, Int64(random.next() % 10_000))
        let hex = String(random.next(), radix: 16)
        let text = """
            {"id":\(number),"name":"sensor-\(number % 97)","value":\(value / 100).\(value % 100),"unit":"kPa",\
            "session":"\(hex)","tags":["live","floor-\(value % 9)"],"ok":\(number % 8 != 0)},
            """
        return Array(text.utf8)
    }

    /// One of two, of three and of four bytes.
    private static let wideCharacters = ["é", "€", "🐧"].map { Array($0.utf8) }
}

/// The same numbers in every run (xorshift).
private struct Scramble {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
