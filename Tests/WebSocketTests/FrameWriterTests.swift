import Bytes
import Glibc
import Testing
import WebSocket

/// What a client makes of a frame from a server, read byte by byte as RFC 6455 5.2 draws it.
private struct ServerFrame: Equatable {
    var opcode: UInt8
    var isFinal: Bool
    var reserved: UInt8
    var isMasked: Bool
    var length: UInt64
    var headerLength: Int

    init(_ bytes: [UInt8]) {
        isFinal = bytes[0] >> 7 == 1
        reserved = bytes[0] >> 4 & 7
        opcode = bytes[0] & 15
        isMasked = bytes[1] >> 7 == 1
        let short = bytes[1] & 127
        let wide = short == 126 ? 2 : short == 127 ? 8 : 0
        length = wide == 0 ? UInt64(short) : bytes[2..<2 + wide].reduce(0) { $0 << 8 | UInt64($1) }
        headerLength = 2 + wide
    }
}

@Suite("RFC 6455 5.1 and 5.2: frames to a client")
struct FrameWriterTests {
    static let lengths = [
        0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 1000, 65534, 65535, 65536, 65537, 1 << 20, 1 << 24, 1 << 32, .max,
    ]

    @Test("a client reads what was written, in the shortest form and unmasked", arguments: lengths)
    func roundTrip(_ length: Int) {
        for opcode in [Opcode.continuation, .text, .binary, .close, .ping, .pong] {
            for isFinal in [true, false] {
                let header = FrameWriter(opcode, isFinal: isFinal, payloadLength: length)
                let bytes =
                    withUnsafeBytes(of: header.low.littleEndian) { Array($0) }
                    + withUnsafeBytes(of: header.high.littleEndian) { Array($0) }
                let frame = ServerFrame(bytes)
                #expect(frame.opcode == opcode.rawValue)
                #expect(frame.isFinal == isFinal)
                #expect(frame.reserved == 0)
                #expect(!frame.isMasked)
                #expect(frame.length == UInt64(length))
                #expect(frame.headerLength == header.count)
                #expect(header.count == (length < 126 ? 2 : length < 65536 ? 4 : 10))
                #expect(bytes[header.count...].allSatisfy { $0 == 0 }, "what does not count is zero")
            }
        }
    }

    @Test("through a send queue the bytes come out in the order of the wire", arguments: [5, 300, 70_000])
    func throughQueue(_ length: Int) {
        let pool = BlockPool()
        var queue = SendQueue()
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0) }
        let header = FrameWriter(.binary, isFinal: true, payloadLength: length)
        queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
        payload.withUnsafeBytes { queue.append($0, pool: pool, size: .small) }
        var bytes: [UInt8] = []
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            for index in 0..<queue.gather(into: vectors) {
                bytes += UnsafeRawBufferPointer(start: vectors[index].iov_base, count: vectors[index].iov_len)
            }
        }
        let frame = ServerFrame(bytes)
        #expect(frame.length == UInt64(length))
        #expect(Array(bytes[frame.headerLength...]) == payload)
        queue.removeAll(pool: pool)
    }
}
