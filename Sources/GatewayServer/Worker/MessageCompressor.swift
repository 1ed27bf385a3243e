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

    private var deflaters: [Deflater.Configuration: Deflater] = [:]
    private var spareInflaters: [Inflater] = []
    private var inflated = ByteBuffer()
    private var deflated = ByteBuffer()

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
        let violation = unsafe inflater.inflate(
            payload, isLast: piece.isLast, into: &output, limit: binding.pointee.limits.frames.message)
        if violation != nil {
            compression.inflater = nil
        } else if piece.isLast, compression.parameters.clientNoContextTakeover {
            compression.inflater = nil
            if spareInflaters.count < Self.mostSpare { spareInflaters.append(inflater) }
        } else {
            compression.inflater = inflater
        }
        if let violation {
            worker.closer.fail(peer, violation, on: worker)
        } else {
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

    /// Queues a whole message, compressed, if it is worth it.
    ///
    /// - Returns: false, and nothing was done, when it is to go as it is, which is always allowed (RFC 7692 6).
    func send(
        _ peer: ConnectionPointer, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, on worker: Worker
    ) -> Bool {
        guard let compression = peer.pointee.rareState?.compression, payload.count >= compression.threshold,
            opcode == .text || opcode == .binary, let deflater = deflater(of: compression)
        else { return false }
        deflated.removeAll()
        guard unsafe deflater.deflate(payload, into: &deflated) else { return false }
        let header = FrameWriter(opcode, isFinal: true, isCompressed: true, payloadLength: deflated.count)
        unsafe worker.queue(peer, header, UnsafeRawBufferPointer(deflated.bytes))
        if deflated.capacity > Self.mostScratch { deflated.free() }
        return true
    }

    private func deflater(of compression: ConnectionCompression) -> Deflater? {
        if !compression.parameters.serverNoContextTakeover {
            compression.deflater =
                compression.deflater ?? Deflater(compression.deflaterConfiguration, keepsContext: true)
            return compression.deflater
        }
        return deflater(compression.deflaterConfiguration)
    }

    private func deflater(_ configuration: Deflater.Configuration) -> Deflater? {
        if let deflater = deflaters[configuration] { return deflater }
        let deflater = Deflater(configuration, keepsContext: false)
        deflaters[configuration] = deflater
        return deflater
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
        _ frames: UnsafeRawBufferPointer, starts: [Int], plain: [Bool], with peer: ConnectionPointer
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        guard let compression = peer.pointee.rareState?.compression,
            compression.parameters.serverNoContextTakeover
        else { return nil }
        let sharers = Sharers(configuration: compression.deflaterConfiguration, threshold: compression.threshold)
        if let known = unsafe shared[sharers] { return unsafe known }
        let block = unsafe compress(frames, starts, plain, for: sharers)
        unsafe shared[sharers] = block
        return unsafe block
    }

    private func compress(
        _ frames: UnsafeRawBufferPointer, _ starts: [Int], _ plain: [Bool], for sharers: Sharers
    ) -> UnsafeMutablePointer<SharedBuffer>? {
        guard let deflater = deflater(sharers.configuration) else { return nil }
        var output = ByteBuffer()
        var isAnyCompressed = false
        for (index, start) in starts.enumerated() {
            let end = index + 1 < starts.count ? starts[index + 1] : frames.count
            let frame = unsafe UnsafeRawBufferPointer(rebasing: frames[start..<end])
            if !plain[index], unsafe appendCompressed(frame, sharers.threshold, deflater, to: &output) {
                isAnyCompressed = true
            } else {
                unsafe output.append(frame)
            }
        }
        return isAnyCompressed ? unsafe SharedBuffer.copy(UnsafeRawBufferPointer(output.bytes)) : nil
    }

    /// - Parameter frame: one of ours, a whole message.
    private func appendCompressed(
        _ frame: UnsafeRawBufferPointer, _ threshold: Int, _ deflater: Deflater, to output: inout ByteBuffer
    ) -> Bool {
        let headerLength = unsafe frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10
        let payload = unsafe UnsafeRawBufferPointer(rebasing: frame[headerLength...])
        deflated.removeAll()
        guard let opcode = unsafe Opcode(rawValue: frame[0] & 0x0F), payload.count >= threshold,
            unsafe deflater.deflate(payload, into: &deflated)
        else { return false }
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
