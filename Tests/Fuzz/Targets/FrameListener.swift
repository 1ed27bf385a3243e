/// A client that takes nothing amiss but what RFC 6455 forbids a server to send; that ends the program.
struct FrameListener {
    /// permessage-deflate was agreed on.
    var mayBeCompressed = false
    private(set) var hasClosed = false
    private var pending: [UInt8] = []
    private var isOpened = false
    private var message: [UInt8]?
    private var messages: [[UInt8]] = []

    /// Data messages that have been heard since the last time.
    mutating func takeMessages() -> [[UInt8]] {
        defer { messages = [] }
        return messages
    }

    mutating func hear(_ bytes: [UInt8]) {
        pending += bytes
        if !isOpened, !skipHead() { return }
        while let length = readFrame() { pending.removeFirst(length) }
    }

    private mutating func skipHead() -> Bool {
        guard let end = pending.indices.first(where: { pending[$0...].starts(with: [13, 10, 13, 10]) }) else {
            return false
        }
        precondition(pending.starts(with: Array("HTTP/1.1 101 ".utf8)), "the handshake is refused")
        pending.removeFirst(end + 4)
        isOpened = true
        return true
    }

    /// - Returns: how long it is; nil while it is not whole.
    private mutating func readFrame() -> Int? {
        guard pending.count >= 2 else { return nil }
        let (first, second) = (pending[0], pending[1])
        precondition(second & 0x80 == 0, "a server's frame is masked")
        let extra = second == 126 ? 2 : second == 127 ? 8 : 0
        guard pending.count >= 2 + extra else { return nil }
        let long = pending[2..<2 + extra].reduce(0) { $0 << 8 | Int($1) }
        let count = extra == 0 ? Int(second) : long
        precondition(extra == 0 || long > (extra == 2 ? 125 : 0xFFFF), "a length is not minimal")
        guard pending.count >= 2 + extra + count else { return nil }
        precondition(!hasClosed, "a frame comes behind Close")
        let payload = pending[(2 + extra)..<(2 + extra + count)]
        take(first & 0x0F, isFinal: first & 0x80 != 0, reserved: first >> 4 & 7, payload)
        return 2 + extra + count
    }

    private mutating func take(_ opcode: UInt8, isFinal: Bool, reserved: UInt8, _ payload: ArraySlice<UInt8>) {
        let mayHaveRSV1 = mayBeCompressed && (opcode == 1 || opcode == 2)
        precondition(reserved == 0 || reserved == 4 && mayHaveRSV1, "reserved bits are set")
        switch opcode {
        case 0:
            precondition(message != nil, "a continuation continues nothing")
            message? += payload
        case 1, 2:
            precondition(message == nil, "a message begins inside another")
            message = Array(payload)
        case 8, 9, 10:
            precondition(isFinal && payload.count <= 125, "a control frame is long or in pieces")
            if opcode == 8 { hasClosed = true }
            return
        default: preconditionFailure("opcode \(opcode)")
        }
        if isFinal, let whole = message {
            messages.append(whole)
            message = nil
        }
    }
}
