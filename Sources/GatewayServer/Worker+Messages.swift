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
    /// - Parameter octets: in the worker's own read buffer.
    /// - Returns: how many octets are done with; whatever follows them is for `consume`.
    func readWholeMessages(_ peer: ConnectionPlace, _ octets: UnsafeMutableRawBufferPointer) -> Int {
        guard peer.its.reader.isBetweenMessages, let binding = unsafe peer.its.binding,
            unsafe binding.pointee.takesWholeMessages, let callback = unsafe binding.pointee.handler.message,
            let base = octets.baseAddress
        else { return 0 }
        let longest = unsafe binding.pointee.longestWhole
        let highWater = unsafe binding.pointee.limits.highWater
        let checksText = unsafe !binding.pointee.has(GW_HF_NO_UTF8)
        unsafe message.pointee.flags = UInt32(GW_FIRST | GW_FIN)
        unsafe message.pointee.received_ns = nowNanoseconds
        beginCalling(peer)
        echoRoom = highWater
        unsafe echoHost = unsafe binding.pointee.host
        var position = 0
        var isText = true
        while let frame = unsafe WholeFrame(at: base + position, left: octets.count &- position) {
            if frame.payloadLength > longest { break }
            let payload = unsafe base + position + frame.headerLength
            var target = unsafe payload
            // Our header is four octets shorter than the peer's, so this never lies behind the payload.
            if let end = unsafe peer.its.outbox.endOfLoan(pool: pool) {
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
            peer.its.messagesIn &+= 1
            unsafe lender.pointee.lend(UnsafeRawBufferPointer(start: target, count: frame.payloadLength))
            unsafe message.pointee.kind = UInt32(frame.kind)
            unsafe message.pointee.data.ptr = UnsafePointer(target.assumingMemoryBound(to: UInt8.self))
            unsafe message.pointee.data.len = frame.payloadLength
            unsafe enter(peer, binding, CLINUX_MESSAGE) { id in
                unsafe callback(binding.pointee.instance, id, peer.its.state, message)
            }
            if peer.its.phase != .open || !peer.its.flags.isDisjoint(with: [.readingOff, .throttled]) { break }
            if peer.its.outbox.count > highWater, throttle(peer) { break }
        }
        unsafe echoHost = nil
        endCalling()
        unsafe message.pointee.kind = 0
        // A pong, say, is no message.
        if position > 0 { peer.its.lastMessage = now }
        peer.its.reader.forgetLastLength()
        if !isText { fail(peer, .invalidUTF8) }
        return position
    }

    /// Sends the message that is being delivered back from where it lies.
    ///
    /// - Returns: false, and nothing was done, when it is not that message or something stands in the way.
    @inline(__always)
    func echo(
        _ host: UnsafePointer<gw_host>, _ connection: gw_conn, _ kind: UInt32, _ start: UnsafeRawPointer?, _ count: Int
    ) -> Bool {
        guard unsafe host == echoHost, connection == current, let peer = currentPeer, let start = unsafe start,
            unsafe UInt(bitPattern: start) == UInt(bitPattern: message.pointee.data.ptr),
            unsafe count == message.pointee.data.len, unsafe kind == message.pointee.kind
        else { return false }
        guard peer.its.outbox.count &+ count <= echoRoom, peer.its.phase == .open,
            peer.its.flags.isDisjoint(with: [.blocked, .streaming, .member]), !isStreamedTo(peer)
        else { return false }
        let header = FrameWriter(whole: kind, shortPayloadLength: count)
        guard
            unsafe peer.its.outbox.lend(
                header: header.low, count: header.count, payload: UnsafeMutableRawPointer(mutating: start),
                count: count, pool: pool)
        else { return false }
        // Not in the worker's list: whoever read the message writes the answers before it turns to anybody else.
        peer.its.flags.insert(.dirty)
        peer.its.messagesOut &+= 1
        return true
    }

    /// A fragmented message to the peer is open, or some of it is still in the mailbox.
    @inline(__always)
    func isStreamedTo(_ peer: ConnectionPlace) -> Bool {
        port.hasStreamed.load(ordering: .relaxed) && port.board.isStreaming(peer.its.id)
    }

    // MARK: Messages in pieces

    /// A run of payload, unmasked, of a message that is or is not whole.
    @inline(__always)
    func take(
        _ peer: ConnectionPlace, _ piece: FrameReader.Piece, _ octets: UnsafeMutableRawBufferPointer
    ) {
        // RFC 6455 5.5.1: after our Close data is of no use to anybody.
        guard peer.its.phase == .open, let binding = unsafe peer.its.binding else { return }
        if unsafe binding.pointee.handler.fragment != nil {
            return unsafe stream(peer, piece, UnsafeRawBufferPointer(octets))
        }
        if piece.isFirst, piece.isLast {
            if piece.kind == .text, unsafe !binding.pointee.has(GW_HF_NO_UTF8),
                unsafe !UTF8Checker.isValid(UnsafeRawBufferPointer(octets))
            {
                return fail(peer, .invalidUTF8)
            }
            return unsafe deliver(peer, binding, piece.kind, UnsafeRawBufferPointer(octets))
        }
        unsafe assemble(peer, binding, piece, UnsafeRawBufferPointer(octets))
    }

    /// Keeps a piece until its message is whole.
    private func assemble(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ piece: FrameReader.Piece,
        _ octets: UnsafeRawBufferPointer
    ) {
        if piece.isFirst { peer.its.utf8 = UTF8Checker() }
        if unsafe !checkText(peer, binding, piece, octets) { return }
        if piece.isFirst, peer.its.reader.remaining > 0 {
            reserveTrusted(peer, peer.its.reader.remaining + octets.count)
        }
        unsafe peer.its.assembly.append(octets)
        if piece.isLast { unsafe deliverAssembled(peer, binding, piece.kind) }
    }

    /// RFC 6455 8.1: text that cannot become UTF-8 any more fails at the fragment that shows it.
    func checkText(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ piece: FrameReader.Piece,
        _ octets: UnsafeRawBufferPointer
    ) -> Bool {
        guard piece.kind == .text, unsafe !binding.pointee.has(GW_HF_NO_UTF8) else { return true }
        if unsafe peer.its.utf8.accept(octets), !piece.isLast || peer.its.utf8.isComplete { return true }
        fail(peer, .invalidUTF8)
        return false
    }

    func deliverAssembled(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ kind: Opcode
    ) {
        var whole = OctetBuffer()
        swap(&whole, &peer.its.assembly)
        unsafe deliver(peer, binding, kind, UnsafeRawBufferPointer(whole.octets))
        shelf.put(away: whole)
    }

    /// A large message in octets that its peer announced is believed up to a point.
    private func reserveTrusted(_ peer: ConnectionPlace, _ announced: Int) {
        if announced >= Self.trustedLength, peer.its.assembly.capacity == 0 { peer.its.assembly = shelf.take() }
        peer.its.assembly.reserve(min(announced, Self.trustedLength))
    }

    /// Calls the handler with a whole message that is borrowed for the length of the call.
    @inline(__always)
    private func deliver(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ kind: Opcode,
        _ octets: UnsafeRawBufferPointer
    ) {
        peer.its.messagesIn &+= 1
        peer.its.lastMessage = now
        guard let callback = unsafe binding.pointee.handler.message else { return }
        if unsafe binding.pointee.isPooled {
            return unsafe queue(peer, binding, kind, UInt32(GW_FIRST | GW_FIN), octets)
        }
        let octets = unsafe borrowed(binding, octets)
        unsafe lend(kind, flags: UInt32(GW_FIRST | GW_FIN), octets)
        unsafe call(peer, binding, CLINUX_MESSAGE) { id in
            unsafe callback(binding.pointee.instance, id, peer.its.state, message)
        }
        // Nothing is lent any more.
        unsafe message.pointee.kind = 0
        unsafe takeBack(binding, octets)
    }

    /// Points the message that handlers are given at octets.
    @inline(__always)
    private func lend(_ kind: Opcode, flags: UInt32, _ octets: UnsafeRawBufferPointer) {
        unsafe lender.pointee.lend(octets)
        unsafe message.pointee.kind = UInt32(kind.rawValue)
        unsafe message.pointee.flags = flags
        unsafe message.pointee.data.ptr = octets.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe message.pointee.data.len = octets.count
        unsafe message.pointee.received_ns = nowNanoseconds
    }

    // MARK: Streaming handlers

    /// Passes a piece on as it came; text is cut between characters, so up to three octets wait for the next piece.
    private func stream(_ peer: ConnectionPlace, _ piece: FrameReader.Piece, _ octets: UnsafeRawBufferPointer) {
        guard let binding = unsafe peer.its.binding else { return }
        var flags: UInt32 = piece.isFirst ? UInt32(GW_FIRST) : 0
        if piece.isLast { flags |= UInt32(GW_FIN) }
        if piece.isFirst { peer.its.utf8 = UTF8Checker() }
        if unsafe !checkText(peer, binding, piece, octets) { return }
        let held = peer.its.assembly.count
        let tail = piece.kind == .text ? peer.its.utf8.heldOctets : 0
        if held == 0, tail == 0 {
            return unsafe deliverPiece(peer, binding, piece, flags, octets)
        }
        unsafe peer.its.assembly.append(octets)
        var whole = OctetBuffer()
        swap(&whole, &peer.its.assembly)
        let count = max(0, whole.count - tail)
        unsafe peer.its.assembly.append(UnsafeRawBufferPointer(rebasing: whole.octets[count...]))
        unsafe deliverPiece(peer, binding, piece, flags, UnsafeRawBufferPointer(rebasing: whole.octets[..<count]))
    }

    private func deliverPiece(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ piece: FrameReader.Piece,
        _ flags: UInt32, _ octets: UnsafeRawBufferPointer
    ) {
        peer.its.lastMessage = now
        if piece.isLast { peer.its.messagesIn &+= 1 }
        // An empty piece says nothing unless it begins or ends the message.
        guard unsafe flags != 0 || !octets.isEmpty, let callback = unsafe binding.pointee.handler.fragment else {
            return
        }
        if unsafe binding.pointee.isPooled { return unsafe queue(peer, binding, piece.kind, flags, octets) }
        let octets = unsafe borrowed(binding, octets)
        unsafe lend(piece.kind, flags: flags, octets)
        unsafe call(peer, binding, CLINUX_FRAGMENT) { id in
            unsafe callback(binding.pointee.instance, id, peer.its.state, message)
        }
        unsafe message.pointee.kind = 0
        unsafe takeBack(binding, octets)
    }
}
