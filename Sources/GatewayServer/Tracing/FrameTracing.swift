import CGatewayABI
import GatewayControl
import GatewayIO
import Synchronization
import WebSocket

/// The frames of a worker's connections that somebody follows (`gateway trace`).
///
/// Without a trace nothing asks for it: a connection that is followed has the flag `inspected`, which keeps what is sent
/// off the short ways, and its input is said to come for the first time in each tick (`noteInput`), which does the same
/// for what is received. Frames to the peer are told when they are queued, those of the peer before the handler hears.
@safe final class FrameTracing {
    /// So long at most is a worker busy with looking for connections before it serves again.
    private static let sliceNanoseconds: UInt64 = 500_000

    private var tracers: [Tracer] = []
    /// There is at least one.
    private(set) var isActive = false

    /// Whether somebody follows the connection.
    func covers(_ peer: ConnectionPointer) -> Bool {
        isActive && peer.pointee.flags.contains(.inspected) && tracers.contains { $0.covers(peer) }
    }

    // MARK: Beginning and end

    /// Begins a trace, or goes on with looking for its connections, for one slice.
    ///
    /// - Parameters:
    ///   - first: the slot to look at first; 0 when it begins.
    ///   - found: how many there are before that.
    func begin(_ tracer: Tracer, from first: UInt32, found: Int, on worker: Worker) {
        if first == 0 {
            tracers.append(tracer)
            isActive = true
        } else if !tracers.contains(where: { $0 === tracer }) {
            // The client has left meanwhile.
            return
        }
        var found = found
        let next = walk(from: first, on: worker) { peer in
            guard peer.pointee.flags.contains(.opened), tracer.covers(peer) else { return }
            found += 1
            mark(peer, on: worker)
        }
        guard let next else { return tracer.noteFound(found) }
        worker.port.post(.trace(tracer, from: next, found: found))
    }

    /// Ends a trace, for one slice.
    func end(_ tracer: Tracer, from first: UInt32, on worker: Worker) {
        if first == 0 {
            tracers.removeAll { $0 === tracer }
            isActive = !tracers.isEmpty
        }
        let next = walk(from: first, on: worker) { peer in
            guard peer.pointee.flags.contains(.inspected), !covers(peer) else { return }
            peer.pointee.rareState?.incomingFrame = nil
            if peer.pointee.rareState?.compression == nil { peer.pointee.flags.remove(.inspected) }
        }
        if let next { worker.port.post(.endTrace(tracer, from: next)) }
    }

    /// - Returns: the slot to go on with; nil when all have been looked at.
    private func walk(from first: UInt32, on worker: Worker, _ visit: (ConnectionPointer) -> Void) -> UInt32? {
        let end = worker.clock() &+ Self.sliceNanoseconds
        var slot = first
        while slot < worker.table.used {
            if let peer = worker.table.occupant(slot) { visit(peer) }
            slot += 1
            if slot % 256 == 0, worker.clock() >= end { break }
        }
        return slot < worker.table.used ? slot : nil
    }

    /// From here on nothing of the connection goes the short ways.
    private func mark(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.flags.insert(.inspected)
        worker.noteTracedInput(peer)
    }

    // MARK: Connections

    /// A connection is open; it may be one of a route that is followed.
    @inline(never)
    func opened(_ peer: ConnectionPointer, on worker: Worker) {
        guard tracers.contains(where: { $0.covers(peer) }), let binding = unsafe peer.pointee.binding else { return }
        mark(peer, on: worker)
        let route = unsafe binding.pointee.route.name
        tell(peer, on: worker) { _ in .opened(peer: peer.pointee.peerAddress?.description, route: route) }
    }

    /// A connection goes on here that was open in another process.
    @inline(never)
    func resumed(_ peer: ConnectionPointer, on worker: Worker) {
        if tracers.contains(where: { $0.covers(peer) }) { mark(peer, on: worker) }
    }

    /// `close` is due.
    @inline(never)
    func closed(_ peer: ConnectionPointer, on worker: Worker) {
        if !covers(peer) { return }
        let ending = Ending(peer)
        tell(peer, on: worker) { _ in .closed(code: ending.code, by: AccessRecord.name(ofInitiator: ending.by)) }
        for tracer in tracers where tracer.query.target == .connection(peer.pointee.id.number) { tracer.end() }
    }

    private func tell(_ peer: ConnectionPointer, on worker: Worker, _ event: (Tracer) -> TraceRecord.Event) {
        for tracer in tracers where tracer.covers(peer) {
            tracer.add {
                TraceRecord(nanoseconds: worker.clock(), connection: peer.pointee.id.number, event: event(tracer))
            }
        }
    }

    // MARK: From the peer

    /// The header of the peer's next frame stands at the front of the bytes, if it is whole.
    func begin(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer) {
        guard case .header(let header) = unsafe FrameHeader.parse(bytes) else { return }
        let head = (header.isFinal ? 0x80 : 0) | header.reserved << 4 | header.opcode.rawValue
        peer.pointee.ownRareState.incomingFrame = IncomingFrame(head: head, length: header.payloadLength)
    }

    /// Some of its payload, before anybody hears of it.
    ///
    /// - Parameter payload: unmasked; inflated where its message is compressed.
    func received(
        _ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, on worker: Worker
    ) {
        guard covers(peer), let rareState = peer.pointee.rareState, rareState.incomingFrame?.isTold == false else {
            return
        }
        let most = tracers.reduce(0) { max($0, $1.covers(peer) ? $1.payloadLimit : 0) }
        rareState.incomingFrame?.isText = piece.kind == .text
        unsafe rareState.incomingFrame?.take(payload, isInflated: piece.isCompressed, atMost: most)
        // How long it is inflated is known at its end.
        let isEnough = !piece.isCompressed && (rareState.incomingFrame?.payload.count ?? 0) >= most
        if isEnough || peer.pointee.reader.remaining == 0 { tellIncoming(peer, rareState, on: worker) }
    }

    /// A piece has been dealt with: a frame that has ended is told now at the latest.
    func endPiece(_ peer: ConnectionPointer, on worker: Worker) {
        guard peer.pointee.reader.remaining == 0, let rareState = peer.pointee.rareState,
            rareState.incomingFrame?.isTold == false
        else { return }
        tellIncoming(peer, rareState, on: worker)
    }

    private func tellIncoming(_ peer: ConnectionPointer, _ rareState: RareState, on worker: Worker) {
        guard let incoming = rareState.incomingFrame else { return }
        rareState.incomingFrame?.isTold = true
        rareState.incomingFrame?.payload = []
        tell(peer, on: worker) { tracer in
            .received(
                .init(
                    head: incoming.head, length: incoming.length, isText: incoming.isText,
                    inflatedLength: incoming.inflatedLength,
                    payload: Array(incoming.payload.prefix(tracer.payloadLimit)))
            )
        }
    }

    /// A whole ping, pong or Close of the peer.
    func control(_ peer: ConnectionPointer, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, on worker: Worker) {
        tell(peer, on: worker) { tracer in .received(unsafe Self.control(opcode, payload, tracer)) }
    }

    private static func control(
        _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, _ tracer: Tracer
    ) -> TraceRecord.Frame {
        // The code of a Close is no secret of the peers.
        let most = tracer.payloadLimit + (opcode == .close ? 2 : 0)
        return .init(
            head: 0x80 | opcode.rawValue, length: payload.count, isText: false,
            payload: unsafe Array(payload.prefix(most)))
    }

    /// The peer broke a rule.
    func violated(_ peer: ConnectionPointer, _ violation: ProtocolViolation, on worker: Worker) {
        tell(peer, on: worker) { _ in .violation(violation.reason) }
    }

    // MARK: To the peer

    /// A frame is queued.
    ///
    /// - Parameters:
    ///   - payload: as the handler gave it.
    ///   - compressedLength: of a frame whose message goes compressed.
    @inline(never)
    func sent(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer,
        compressedLength: Int? = nil, on worker: Worker
    ) {
        if !covers(peer) { return }
        let isText = peer.pointee.outbox.kind(of: opcode) == UInt32(GW_TEXT)
        tell(peer, on: worker) { tracer in
            if opcode.rawValue & 0x8 != 0 { return .sent(unsafe Self.control(opcode, payload, tracer)) }
            let isMarked = compressedLength != nil && opcode != .continuation
            return .sent(
                .init(
                    head: (isFinal ? 0x80 : 0) | (isMarked ? 0x40 : 0) | opcode.rawValue,
                    length: compressedLength ?? payload.count, isText: isText,
                    inflatedLength: compressedLength == nil ? nil : payload.count,
                    payload: unsafe Array(payload.prefix(tracer.payloadLimit))))
        }
    }

    /// Whole frames are queued: publications.
    ///
    /// - Parameter plain: the same frames before they were compressed; nil where they were not, or nobody has them.
    @inline(never)
    func published(
        _ peer: ConnectionPointer, _ frames: UnsafeRawBufferPointer, plain: UnsafeRawBufferPointer? = nil,
        on worker: Worker
    ) {
        if !covers(peer) { return }
        var (rest, plainRest) = unsafe (frames, plain ?? frames)
        while rest.count >= 2, plainRest.count >= 2 {
            let count = unsafe FrameWriter.length(of: rest)
            let plainCount = unsafe FrameWriter.length(of: plainRest)
            guard rest.count >= count, plainRest.count >= plainCount else { return }
            let frame = unsafe UnsafeRawBufferPointer(rebasing: rest[..<count])
            let shown = unsafe Self.payload(UnsafeRawBufferPointer(rebasing: plainRest[..<plainCount]))
            unsafe tellPublication(peer, frame, shown, isInflated: plain != nil, on: worker)
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            unsafe plainRest = UnsafeRawBufferPointer(rebasing: plainRest[plainCount...])
        }
    }

    private func tellPublication(
        _ peer: ConnectionPointer, _ frame: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, isInflated: Bool,
        on worker: Worker
    ) {
        guard let head = unsafe frame.first else { return }
        let isCompressed = head & 0x40 != 0
        tell(peer, on: worker) { tracer in
            .sent(
                .init(
                    head: head, length: unsafe Self.payload(frame).count, isText: head & 0x0F == Opcode.text.rawValue,
                    inflatedLength: isCompressed && isInflated ? payload.count : nil,
                    payload: unsafe Array(payload.prefix(tracer.payloadLimit))))
        }
    }

    /// What stands behind the header of a whole frame of ours.
    private static func payload(_ frame: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let short = unsafe frame[1]
        return unsafe UnsafeRawBufferPointer(rebasing: frame[(short < 126 ? 2 : short == 126 ? 4 : 10)...])
    }
}

/// A frame of a peer that is followed, as far as it has come.
struct IncomingFrame {
    let head: UInt8
    let length: Int
    var isText = false
    private(set) var inflatedLength: Int?
    /// Its beginning.
    var payload: [UInt8] = []
    /// Somebody has been told of it.
    var isTold = false

    init(head: UInt8, length: Int) {
        self.head = head
        self.length = length
    }

    mutating func take(_ bytes: UnsafeRawBufferPointer, isInflated: Bool, atMost most: Int) {
        if isInflated { inflatedLength = (inflatedLength ?? 0) + bytes.count }
        let room = most - payload.count
        if room > 0 { unsafe payload.append(contentsOf: bytes.prefix(room)) }
    }
}
