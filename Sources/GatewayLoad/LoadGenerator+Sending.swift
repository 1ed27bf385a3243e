import Bytes
import GatewayIO
import WebSocket

/// Octets go out, and control frames are answered.
extension LoadGenerator {
    /// Sends what is due; what the kernel does not take waits for room.
    @inline(__always)
    mutating func flush(_ peer: PeerPlace) throws(Errno) {
        if peer.its.pending > 0 {
            let from = peer.its.position
            let count = peer.its.pending
            let result = unsafe stream.frames.withUnsafeBytes { frames in
                unsafe peer.its.socket.send(UnsafeRawBufferPointer(rebasing: frames[from..<from &+ count]))
            }
            guard let sent = try sent(result, peer) else { return }
            peer.its.pending = count &- sent
            let position = from &+ sent
            peer.its.position = position >= stream.period ? position % stream.period : position
        }
        if !peer.its.own.isEmpty, peer.its.pending == 0 {
            let result = unsafe peer.its.socket.send(UnsafeRawBufferPointer(peer.its.own.octets))
            guard let sent = try sent(result, peer) else { return }
            peer.its.own.removeFirst(sent)
        }
        try want(writable: peer.its.pending > 0 || !peer.its.own.isEmpty, peer)
    }

    /// - Returns: octets taken; nil when the connection has ended.
    @inline(__always)
    private mutating func sent(_ result: IOResult, _ peer: PeerPlace) throws(Errno) -> Int? {
        switch result {
        case .moved(let count): return count
        case .wouldBlock, .endOfStream: return 0
        case .failed(let error):
            try ended(peer, "sending failed: \(error)")
            return nil
        }
    }

    /// Any key does: the mask protects nobody here.
    static var key: UInt32 { 0x5AA5_C33C }

    func queueControl(_ opcode: UInt8, _ payload: [UInt8], on peer: PeerPlace) {
        let frame = FrameStream.frame(opcode: opcode, key: Self.key, payload)
        unsafe frame.withUnsafeBytes { unsafe peer.its.own.append($0) }
    }

    /// Takes octets of a control frame; false when the connection has ended by it.
    mutating func takeControl(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) throws(Errno) -> Bool {
        unsafe payload.withUnsafeBytes { unsafe peer.its.control.append($0) }
        guard isEnd else { return true }
        let octets = unsafe Array(UnsafeRawBufferPointer(peer.its.control.octets))
        peer.its.control.removeAll()
        switch peer.its.reader.opcode {
        case 9:
            // RFC 6455 5.5.2: a Ping is answered, unless a Close has come.
            queueControl(10, octets, on: peer)
            try flush(peer)
            return true
        case 10:
            if octets == Self.question { peer.its.hasAnswered = true }
            return true
        default:
            return try takeClose(octets, from: peer)
        }
    }

    private mutating func takeClose(_ octets: [UInt8], from peer: PeerPlace) throws(Errno) -> Bool {
        let code = octets.count < 2 ? CloseCode.none : UInt16(octets[0]) << 8 | UInt16(octets[1])
        guard peer.its.phase == .closing, !peer.its.hasAnswered, code == CloseCode.normal else {
            try ended(peer, "the server sent Close with code \(code)")
            return false
        }
        peer.its.hasAnswered = true
        return true
    }

    /// What an idle connection is asked.
    static var question: [UInt8] { Array("alive?".utf8) }

    mutating func beginClosing(_ peer: PeerPlace) throws(Errno) {
        tally.count(now &- min(now, peer.its.begun), octets: 0, now: now)
        peer.its.phase = .closing
        queueControl(8, [0x03, 0xE8], on: peer)
        try flush(peer)
    }
}
