import Bytes
import WebSocket

/// Whatever a client calls compressed stays below the limit, cut or not; and what we compress comes out again.
func tryInflate(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    let (bits, keepsContext) = (8 + input.number(below: 8), input.byte() & 1 == 0)
    let limit = 1 << input.number(below: 20)
    let level = 1 + input.number(below: 9)
    var cuts = Cuts(&input)
    let stream = input.all()
    let whole = inflate(stream, bits, keepsContext, limit) { $0 }
    let cut = inflate(stream, bits, keepsContext, limit) { cuts.next(of: $0) }
    // zlib may meet what is broken and what is too much in the same call. And it lets a stream refer to what lies beyond its
    // window, as long as that has come out in the same call.
    let isRefused = (whole.violation != nil, cut.violation != nil)
    precondition(isRefused.0 == isRefused.1 || bits < 15, "cutting changes what is refused")
    precondition(isRefused.0 || isRefused.1 || whole.bytes == cut.bytes, "cutting changes what comes out")
    guard let deflater = Deflater(.init(level: level, windowBits: max(9, bits)), keepsContext: keepsContext) else {
        return 0
    }
    for _ in 0..<2 {
        var packed = ByteBuffer()
        let isSent = stream.withUnsafeBytes { deflater.deflate($0, into: &packed) }
        guard isSent, !keepsContext else { return 0 }
        let again = inflate(copy(packed), bits, false, max(1, stream.count)) { $0 }
        precondition(again.violation == nil && again.bytes == stream, "what was compressed does not come out again")
    }
    return 0
}

private func inflate(
    _ stream: [UInt8], _ bits: Int, _ keepsContext: Bool, _ limit: Int, _ part: (Int) -> Int
) -> (bytes: [UInt8], violation: ProtocolViolation?) {
    guard let inflater = Inflater(windowBits: bits, keepsContext: keepsContext) else { return ([], nil) }
    var output = ByteBuffer()
    var taken = 0
    repeat {
        let count = part(stream.count - taken)
        let isLast = taken + count == stream.count
        let violation = stream[taken..<taken + count].withUnsafeBytes {
            inflater.inflate($0, isLast: isLast, into: &output, limit: limit)
        }
        taken += count
        precondition(output.count <= limit + 1, "more comes out than a message may have")
        precondition(output.capacity <= 4 * limit + 16384, "more is reserved than a message may have")
        if let violation { return ([], violation) }
    } while taken < stream.count
    return (copy(output), nil)
}
