import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HandlerModules
import Synchronization
import WebSocket

/// From frames to messages to callbacks.
extension Worker {
    // MARK: Messages in one frame

    /// Takes message after message for as long as they come whole and short, which nearly all do.
    ///
    /// What `readFrames` and `take` do in general is done here for this shape alone, with everything that stays the
    /// same looked up once. A message goes, unmasked, to where the answers to those before it end: a handler that sends
    /// it back as it is (`echo`) has it stand in its place already.
    ///
    /// - Parameter bytes: in the worker's own read buffer.
    /// - Returns: how many bytes are done with; whatever follows them is for `consume`.
    func readWholeMessages(_ peer: ConnectionPointer, _ bytes: UnsafeMutableRawBufferPointer) -> Int {
        guard peer.pointee.reader.isBetweenMessages, let binding = unsafe peer.pointee.binding,
            unsafe binding.pointee.takesWholeMessages, let callback = unsafe binding.pointee.handler.message,
            let base = bytes.baseAddress
        else { return 0 }
        let longest = unsafe binding.pointee.longestWhole
        let highWater = unsafe binding.pointee.limits.highWater
        let checksText = unsafe !binding.pointee.has(GW_HF_NO_UTF8)
        let message = unsafe running.message
        unsafe message.pointee.flags = UInt32(GW_FIRST | GW_FIN)
        unsafe message.pointee.received_ns = nowNanoseconds
        running.begin(peer)
        running.echoRoom = highWater
        running.echoHost = unsafe UInt(bitPattern: binding.pointee.host)
        var position = 0
        var isText = true
        while let frame = unsafe WholeFrame(at: base + position, left: bytes.count &- position) {
            if frame.payloadLength > longest { break }
            let payload = unsafe base + position + frame.headerLength
            var target = unsafe payload
            // Our header is four bytes shorter than the peer's, so this never lies behind the payload.
            if let end = unsafe peer.pointee.outbox.endOfInPlaceRun(pool: pool) {
                unsafe target = end + frame.headerLength - 4
            }
            let isASCII = unsafe frame.unmask(from: payload, to: target)
            position &+= frame.length
            if !isASCII, frame.isText, checksText,
                unsafe !UTF8Checker.isValid(UnsafeRawBufferPointer(start: target, count: frame.payloadLength))
            {
                isText = false
                break
            }
            peer.pointee.noteReceived(kind: UInt32(frame.kind))
            let borrowedBuffer = unsafe running.borrowedBuffer
            unsafe borrowedBuffer.pointee.borrow(
                UnsafeRawBufferPointer(start: target, count: frame.payloadLength))
            unsafe message.pointee.kind = UInt32(frame.kind)
            unsafe message.pointee.data.ptr = UnsafePointer(target.assumingMemoryBound(to: UInt8.self))
            unsafe message.pointee.data.len = frame.payloadLength
            unsafe LoopRunner.mark(peer, binding, CLINUX_MESSAGE) { id in
                unsafe callback(binding.pointee.instance, id, peer.pointee.state, message)
            }
            if peer.pointee.phase != .open || !peer.pointee.flags.isDisjoint(with: [.readingOff, .throttled]) { break }
            if peer.pointee.outbox.count > highWater, throttle(peer) { break }
        }
        running.echoHost = 0
        running.end()
        unsafe message.pointee.kind = 0
        // A pong, say, is no message.
        if position > 0 { peer.pointee.lastMessage = now }
        peer.pointee.reader.forgetLastLength()
        if !isText { closer.fail(peer, .invalidUTF8, on: self) }
        return position
    }

    /// Sends the message that is being delivered back from where it lies.
    ///
    /// - Returns: false, and nothing was done, when it is not that message or something stands in the way.
    @inline(__always)
    func echo(
        _ host: UnsafePointer<gw_host>, _ connection: gw_conn, _ kind: UInt32, _ start: UnsafeRawPointer?, _ count: Int
    ) -> Bool {
        guard UInt(bitPattern: host) == running.echoHost, connection == running.connection, let peer = running.peer,
            let start = unsafe start,
            unsafe UInt(bitPattern: start) == UInt(bitPattern: running.message.pointee.data.ptr),
            unsafe count == running.message.pointee.data.len, unsafe kind == running.message.pointee.kind
        else { return false }
        guard peer.pointee.outbox.count &+ count <= running.echoRoom, peer.pointee.phase == .open,
            // An answer that may be compressed does not stay where it is.
            peer.pointee.outbox.isClear, peer.pointee.flags.isDisjoint(with: [.member, .inspected]),
            !isStreamedTo(peer)
        else { return false }
        let header = FrameWriter(whole: kind, shortPayloadLength: count)
        guard
            unsafe peer.pointee.outbox.appendInPlace(
                header, UnsafeMutableRawPointer(mutating: start), count: count, pool: pool)
        else { return false }
        // Not in the worker's list: the receive that read the message writes the answers, before another connection's
        // turn.
        peer.pointee.flags.insert(.dirty)
        peer.pointee.noteSent(kind: kind)
        return true
    }

    /// A fragmented message to the peer is open, or some of it is still in the mailbox.
    @inline(__always)
    func isStreamedTo(_ peer: ConnectionPointer) -> Bool {
        port.hasStreamed.load(ordering: .relaxed) && port.sharedTable.isStreaming(peer.pointee.id)
    }

    // MARK: Messages in pieces

    /// A run of payload, unmasked, of a message that is or is not whole.
    @inline(__always)
    func take(
        _ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ bytes: UnsafeMutableRawBufferPointer
    ) {
        // RFC 6455 5.5.1: after our Close data is of no use to either side.
        guard peer.pointee.phase == .open else { return }
        let payload = UnsafeRawBufferPointer(bytes)
        if piece.isCompressed { return unsafe compressor.receive(peer, piece, payload, on: self) }
        unsafe takePlain(peer, piece, payload)
    }

    /// The same, decompressed.
    @inline(__always)
    func takePlain(_ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer) {
        guard let binding = unsafe peer.pointee.binding else { return }
        let checksText = unsafe !binding.pointee.has(GW_HF_NO_UTF8)
        if unsafe binding.pointee.handler.fragment != nil { return unsafe passPiece(peer, piece, payload, checksText) }
        let remaining = peer.pointee.reader.remaining
        let outcome = unsafe peer.pointee.assembler.join(
            piece, payload, remaining: remaining, checksText: checksText, largeBuffers: &largeBuffers)
        switch outcome {
        case .whole: unsafe deliverWhole(peer, piece, payload)
        case .assembled: deliverAssembled(peer, piece)
        case .incomplete: break
        case .invalidUTF8: closer.fail(peer, .invalidUTF8, on: self)
        }
    }

    /// - Parameter piece: its last one.
    func deliverAssembled(_ peer: ConnectionPointer, _ piece: FrameReader.Piece) {
        let message = peer.pointee.assembler.takeMessage()
        unsafe deliverWhole(peer, piece, UnsafeRawBufferPointer(message.bytes))
        largeBuffers.put(away: message)
    }

    /// Calls the handler with a whole message that is borrowed for the length of the call.
    @inline(__always)
    private func deliverWhole(_ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer)
    {
        peer.pointee.noteReceived(kind: UInt32(piece.kind.rawValue))
        peer.pointee.lastMessage = now
        unsafe run(
            peer,
            .message(
                kind: UInt32(piece.kind.rawValue), flags: UInt32(GW_FIRST | GW_FIN) | Self.compressedFlag(piece),
                BorrowedBytes(payload), receivedAt: nowNanoseconds))
    }

    @inline(__always)
    private static func compressedFlag(_ piece: FrameReader.Piece) -> UInt32 {
        piece.isCompressed ? UInt32(GW_COMPRESSED) : 0
    }

    // MARK: Piece by piece

    /// Gives a piece to a handler that wants messages as they come.
    private func passPiece(
        _ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, _ checksText: Bool
    ) {
        switch unsafe peer.pointee.assembler.pass(piece, payload, checksText: checksText) {
        case .asItIs: unsafe deliverPiece(peer, piece, payload)
        case .joined(let joined, let count):
            unsafe deliverPiece(peer, piece, UnsafeRawBufferPointer(rebasing: joined.bytes[..<count]))
        case .invalidUTF8: closer.fail(peer, .invalidUTF8, on: self)
        }
    }

    private func deliverPiece(_ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer)
    {
        peer.pointee.lastMessage = now
        if piece.isLast { peer.pointee.noteReceived(kind: UInt32(piece.kind.rawValue)) }
        var flags: UInt32 = piece.isFirst ? UInt32(GW_FIRST) : 0
        if piece.isLast { flags |= UInt32(GW_FIN) }
        // An empty piece says nothing unless it begins or ends the message.
        if unsafe flags == 0 && payload.isEmpty { return }
        unsafe run(
            peer,
            .message(
                kind: UInt32(piece.kind.rawValue), flags: flags | Self.compressedFlag(piece), BorrowedBytes(payload),
                receivedAt: nowNanoseconds))
    }
}
