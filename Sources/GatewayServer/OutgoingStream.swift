import WebSocket

/// A fragmented message on its way to a peer: which kind it is and whether its text is UTF-8 so far.
struct OutgoingStream: Sendable {
    let kind: Opcode
    var utf8 = UTF8Checker()
}
