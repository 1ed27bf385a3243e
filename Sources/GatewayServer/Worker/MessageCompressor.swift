import Bytes
import CGatewayABI
import GatewayIO
import WebSocket

/// Compresses and decompresses messages of a worker's connections, with what they share: scratch memory, and a deflater and
/// an inflater for all those that keep no window between messages.
@safe final class MessageCompressor {
    /// Scratch memory above so many bytes is given back.
    private static let mostScratch = 1 << 20
    /// Inflaters that wait for the next message.
    private static let mostSpare = 4

    /// For connections that keep no window, one of a kind, but for those that a message in fragments has taken.
    private var deflaters: [Deflater] = []
    private var spareInflaters: [Inflater] = []
    private var inflated = ByteBuffer()
    private var deflated = ByteBuffer()
    /// Of the frame that was queued last.
    private var deflatedLength = 0

    // MARK: Receiving

    /// Decompresses a piece of a message, which then goes the way of any other.
    func receive(
        _ peer: ConnectionPointer, _ piece: FrameReader.Piece, _ payload: UnsafeRawBufferPointer, on worker: Worker
    ) {
        guard let compression = peer.pointee.rareState?.compression, let binding = unsafe peer.pointee.binding else {
            return
        }
        guard let inflater = inflater(of: compression) else {
            return worker.closer.lose(peer, Errno(12), on: worker)
        }
        // Taken out, since callbacks run.
        var output = ByteBuffer()
        swap(&output, &inflated)
        let received = compression.counters.received
        let began = received.begin().map { (weight: $0, at: worker.clock()) }
        let violation = unsafe inflater.inflate(
            payload, isLast: piece.isLast, into: &output, limit: binding.pointee.limits.frames.message)
        received.note(plain: output.count, compressed: payload.count)
        if let began { received.note(nanoseconds: (worker.clock() &- began.at) &* began.weight) }
        if violation != nil {
            compression.inflater = nil
        } else if piece.isLast, compression.parameters.clientNoContextTakeover {
            compression.inflater = nil
            if spareInflaters.count < Self.mostSpare { spareInflaters.append(inflater) }
        } else {
            compression.inflater = inflater
        }
        if let violation {
            worker.tracing.violated(peer, violation, on: worker)
            worker.closer.fail(peer, violation, on: worker)
        } else {
            if worker.tracing.isActive {
                unsafe worker.tracing.received(peer, piece, UnsafeRawBufferPointer(output.bytes), on: worker)
            }
            unsafe worker.takePlain(peer, piece, UnsafeRawBufferPointer(output.bytes))
        }
        output.removeAll()
        if output.capacity <= Self.mostScratch { swap(&output, &inflated) }
    }

    /// A message that comes in pieces keeps its inflater until it is whole.
    private func inflater(of compression: ConnectionCompression) -> Inflater? {
        if let inflater = compression.inflater { return inflater }
        let parameters = compression.parameters
        if !parameters.clientNoContextTakeover {
            return Inflater(windowBits: parameters.clientWindowBits, keepsContext: true)
        }
        // The largest window takes what any other may have sent.
        return spareInflaters.popLast() ?? Inflater(windowBits: 15, keepsContext: false)
    }

    // MARK: Sending

    /// Queues a frame of a message, compressed, if it is worth it; of a connection that is followed it is told.
    ///
    /// - Parameter isPlain: it is not to be compressed, if it begins a message.
    /// - Returns: false, and it is not queued, when it is to go as it is, which is always allowed (RFC 7692 6).
    @inline(never)
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, isPlain: Bool,
        on worker: Worker
    ) -> Bool {
        let isCompressed = unsafe compress(peer, opcode, isFinal: isFinal, payload, isPlain: isPlain, on: worker)
        if worker.tracing.isActive {
            unsafe worker.tracing.sent(
                peer, opcode, isFinal: isFinal, payload, compressedLength: isCompressed ? deflatedLength : nil,
                on: worker)
        }
        return isCompressed
    }

    /// Of a message in fragments the first one decides: RFC 7692 6 has only that say it.
    private func compress(
        _ peer: ConnectionPointer, _ opcode: Opcode, isFinal: Bool, _ payload: UnsafeRawBufferPointer, isPlain: Bool,
        on worker: Worker
    ) -> Bool {
        guard let compression = peer.pointee.rareState?.compression else { return false }
        switch opcode {
        case .close, .ping, .pong: return false
        case .continuation: return unsafe sendFragment(peer, compression, opcode, isFinal, payload, on: worker)
        case .text, .binary: break
        }
        guard !isPlain, payload.count >= compression.threshold else { return false }
        if !isFinal {
            compression.outgoing = takeDeflater(for: compression)
            return unsafe sendFragment(peer, compression, opcode, isFinal, payload, on: worker)
        }
        guard let deflater = deflater(of: compression) else { return false }
        deflated.removeAll()
        let isSmaller = measure(compression, on: worker) {
            unsafe deflater.deflate(payload, into: &deflated) ? payload.count : nil
        }
        guard isSmaller else { return false }
        let header = FrameWriter(opcode, isFinal: true, isCompressed: true, payloadLength: deflated.count)
        queueDeflated(peer, header, worker)
        return true
    }

    /// - Returns: false when the message is not compressed.
    @inline(never)
    private func sendFragment(
        _ peer: ConnectionPointer, _ compression: ConnectionCompression, _ opcode: Opcode, _ isFinal: Bool,
        _ payload: UnsafeRawBufferPointer, on worker: Worker
    ) -> Bool {
        guard let deflater = compression.outgoing else { return false }
        deflated.removeAll()
        _ = measure(compression, on: worker) {
            unsafe deflater.deflate(piece: payload, isLast: isFinal, into: &deflated)
            return payload.count
        }
        let isFirst = opcode != .continuation
        let header = FrameWriter(opcode, isFinal: isFinal, isCompressed: isFirst, payloadLength: deflated.count)
        queueDeflated(peer, header, worker)
        if isFinal { giveBack(deflater, of: compression) }
        if peer.pointee.outbox.note(opcode, isFinal: isFinal) { worker.releaseHeld(peer) }
        return true
    }

    private func queueDeflated(_ peer: ConnectionPointer, _ header: FrameWriter, _ worker: Worker) {
        deflatedLength = deflated.count
        unsafe worker.queue(peer, header, UnsafeRawBufferPointer(deflated.bytes))
        if deflated.capacity > Self.mostScratch { deflated.free() }
    }

    /// Counts what compressing into the scratch memory did.
    ///
    /// - Parameter compress: answers how many bytes it compressed; nil when they go as they are.
    /// - Returns: whether they were compressed.
    @inline(__always)
    private func measure(
        _ compression: ConnectionCompression, on worker: Worker, _ compress: () -> Int?
    ) -> Bool {
        let sent = compression.counters.sent
        let began = sent.begin().map { (weight: $0, at: worker.clock()) }
        let plain = compress()
        if let began { sent.note(nanoseconds: (worker.clock() &- began.at) &* began.weight) }
        guard let plain else { return false }
        sent.note(plain: plain, compressed: deflated.count)
        return true
    }

    private func deflater(of compression: ConnectionCompression) -> Deflater? {
        if compression.parameters.serverNoContextTakeover { return deflater(compression.deflaterConfiguration) }
        compression.deflater = compression.deflater ?? Deflater(compression.deflaterConfiguration, keepsContext: true)
        return compression.deflater
    }

    private func deflater(_ configuration: Deflater.Configuration) -> Deflater? {
        for deflater in deflaters where deflater.configuration == configuration { return deflater }
        guard let deflater = Deflater(configuration, keepsContext: false) else { return nil }
        deflaters.append(deflater)
        return deflater
    }

    /// A deflater for a message in fragments, to be had until its end; nil where the route has no memory for it.
    private func takeDeflater(for compression: ConnectionCompression) -> Deflater? {
        if !compression.parameters.serverNoContextTakeover { return deflater(of: compression) }
        guard compression.borrowDeflater() else { return nil }
        let configuration = compression.deflaterConfiguration
        guard let index = deflaters.firstIndex(where: { $0.configuration == configuration }) else {
            return Deflater(configuration, keepsContext: false)
        }
        return deflaters.remove(at: index)
    }

    private func giveBack(_ deflater: Deflater, of compression: ConnectionCompression) {
        compression.outgoing = nil
        guard compression.parameters.serverNoContextTakeover else { return }
        compression.returnDeflater()
        if !deflaters.contains(where: { $0.configuration == deflater.configuration }) { deflaters.append(deflater) }
    }

    // MARK: Sharing

    /// Connections that can share what is compressed for one of them.
    private struct Sharers: Hashable {
        let configuration: Deflater.Configuration
        let threshold: Int
    }

    /// What has been compressed of the publications of this round; nil where nothing of them is.
    private var shared: [Sharers: UnsafeMutablePointer<SharedBuffer>?] = unsafe [:]

    /// The frames of a round as they go to a connection, compressed once for all those that keep no window alike.
    ///
    /// - Parameters:
    ///   - starts: where each frame begins.
    ///   - plain: which are not to be compressed.
    /// - Returns: nil when they go as they are.
    func share(
        _ frames: UnsafeRawBufferPointer, starts: [Int], plain: [Bool], with peer: ConnectionPointer,
        on worker: Worker
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        guard let compression = peer.pointee.rareState?.compression,
            compression.parameters.serverNoContextTakeover
        else { return nil }
        let sharers = Sharers(configuration: compression.deflaterConfiguration, threshold: compression.threshold)
        if let known = unsafe shared[sharers] { return unsafe known }
        let block = unsafe compress(frames, starts, plain, compression, on: worker)
        unsafe shared[sharers] = block
        return unsafe block
    }

    /// What that did counts once, for the connection that it was done for.
    private func compress(
        _ frames: UnsafeRawBufferPointer, _ starts: [Int], _ plain: [Bool], _ compression: ConnectionCompression,
        on worker: Worker
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        guard let deflater = deflater(compression.deflaterConfiguration) else { return nil }
        var output = ByteBuffer()
        var isAnyCompressed = false
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : frames.count
            let frame = unsafe UnsafeRawBufferPointer(rebasing: frames[start..<end])
            if !plain[index], unsafe appendCompressed(frame, compression, deflater, to: &output, on: worker) {
                isAnyCompressed = true
            } else {
                unsafe output.append(frame)
            }
        }
        return isAnyCompressed ? unsafe SharedBuffer.copy(UnsafeRawBufferPointer(output.bytes)) : nil
    }

    /// - Parameter frame: one of ours, a whole message.
    private func appendCompressed(
        _ frame: UnsafeRawBufferPointer, _ compression: ConnectionCompression, _ deflater: Deflater,
        to output: inout ByteBuffer, on worker: Worker
    ) -> Bool {
        let headerLength = unsafe frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10
        let payload = unsafe UnsafeRawBufferPointer(rebasing: frame[headerLength...])
        guard let opcode = unsafe Opcode(rawValue: frame[0] & 0x0F), payload.count >= compression.threshold else {
            return false
        }
        deflated.removeAll()
        let isSmaller = measure(compression, on: worker) {
            unsafe deflater.deflate(payload, into: &deflated) ? payload.count : nil
        }
        guard isSmaller else { return false }
        let header = FrameWriter(opcode, isFinal: true, isCompressed: true, payloadLength: deflated.count)
        unsafe withUnsafeBytes(of: (header.low.littleEndian, header.high.littleEndian)) {
            unsafe output.append(UnsafeRawBufferPointer(rebasing: $0[..<header.count]))
        }
        unsafe output.append(UnsafeRawBufferPointer(deflated.bytes))
        return true
    }

    /// The round is over: queues that refer to what was shared keep it.
    func endSharing() {
        if unsafe shared.isEmpty { return }
        unsafe shared.values.forEach { if let block = unsafe $0 { unsafe SharedBuffer.release(block) } }
        unsafe shared.removeAll(keepingCapacity: true)
    }
}
