public import Bytes
import CLinux
import Glibc

/// What a connection reads from and writes to: a socket, a layer with a socket under it, or a layer alone, which is a
/// stream of something that is not the connection's own.
public struct Transport: ~Copyable {
    // In this order there is no gap: every connection has one.
    /// nil where bytes go as they are.
    private var layer: TransportLayer?
    private let socket: Socket

    public init(_ socket: consuming Socket, layer: TransportLayer? = nil) {
        self.socket = socket
        self.layer = layer
    }

    /// A stream without a socket of its own. Its layer tells the owner of the connection when there is input, or room
    /// for output: the poller knows nothing of it.
    public init(stream layer: TransportLayer) {
        socket = Socket(adopting: -1)
        self.layer = layer
    }

    /// There is something for the poller to watch.
    @inline(__always)
    public var hasSocket: Bool { socket.number >= 0 }

    /// Bytes go as they are: nothing is ever kept on the way.
    @inline(__always)
    public var isPlain: Bool { layer == nil }

    /// For the poller.
    public var number: Int32 { socket.number }

    /// Gives the socket away, of a connection that goes on elsewhere; nothing stands in front of it.
    public consuming func release() -> Int32 { socket.release() }

    // MARK: In

    /// Reads once into the buffer.
    @inline(__always)
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if let layer { return unsafe layer.read(socket, into: buffer) }
        return unsafe socket.read(into: buffer)
    }

    /// Reads once into two buffers, the first one first.
    public func read(
        into first: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer
    ) -> IOResult {
        guard let layer else { return unsafe socket.read(into: first, then: second) }
        // One read is enough: the second buffer is there to save a system call.
        return unsafe layer.read(socket, into: first.isEmpty ? second : first)
    }

    /// What the peer said is here already: the poller does not tell of that.
    @inline(__always)
    public var hasInput: Bool { layer.map { $0.hasInput } ?? false }

    // MARK: Out

    /// Sends what is taken of a run of bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        if let layer { return unsafe layer.write(socket, bytes) }
        return unsafe socket.write(bytes)
    }

    /// Sends what is taken of the queue, with `tail` behind it if there is one.
    ///
    /// - Returns: `.moved` with the bytes taken of both together, the queue's first; nothing is removed from it.
    @inline(__always)
    public func write(_ queue: borrowing SendQueue, tail: UnsafeRawBufferPointer? = nil) -> IOResult {
        if let layer { return unsafe write(queue, tail, through: layer) }
        return unsafe socket.write(queue, tail: tail)
    }

    private static let runs = 64

    @inline(never)
    private func write(
        _ queue: borrowing SendQueue, _ tail: UnsafeRawBufferPointer?, through layer: TransportLayer
    ) -> IOResult {
        if unsafe tail == nil, let single = unsafe queue.single { return unsafe layer.write(socket, single) }
        return unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.runs) { vectors in
            let filled = unsafe queue.gather(into: UnsafeMutableBufferPointer(rebasing: vectors[..<(Self.runs - 1)]))
            return unsafe withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: Self.runs) { runs in
                var count = 0
                while count < filled {
                    let vector = unsafe vectors[count]
                    unsafe runs[count] = UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
                    count += 1
                }
                // A tail stands behind the whole queue, so it waits when there may be more blocks than were gathered.
                if let tail = unsafe tail, filled < Self.runs - 1 {
                    unsafe runs[count] = unsafe tail
                    count += 1
                }
                return unsafe layer.write(socket, runs: UnsafeBufferPointer(rebasing: runs[..<count]))
            }
        }
    }

    /// Everything that was taken is with the kernel.
    @inline(__always)
    public var isDrained: Bool { layer.map { $0.isDrained } ?? true }

    /// Gives the kernel what was taken and is not with it; `.wouldBlock` when it does not take all of it.
    public func flush() -> IOResult { layer.map { $0.flush(socket) } ?? .moved(0) }

    /// What the layer asks before each step of agreeing with the peer.
    public var leave: HandshakeLeave? { layer?.leave }

    /// Has the layer ask, from its first read on; nil ends that.
    public func give(_ leave: HandshakeLeave?) { layer?.leave = leave }

    /// What the layer has agreed on with the peer.
    public var security: TransportSecurity? { layer?.security }

    /// Why the layer does not work, in words.
    public var failure: String? { layer?.failure }

    /// The peer speaks HTTP without the layer that it should speak.
    public var isBypassed: Bool { layer?.isBypassed ?? false }

    // MARK: Layers that have an end

    /// The layer has done its part and can be taken out.
    public var hasFinishedLayer: Bool { layer?.isOver ?? false }

    /// What has to come in front of everything has not come, or not as it should.
    public var lacksHeader: Bool { layer?.lacksHeader ?? false }

    /// Takes such a layer out.
    public mutating func removeFinishedLayer() { if let done = layer, done.isOver { layer = done.successor } }

    // MARK: The end

    /// Says that nothing more will be sent; reading goes on. It has been said when all `isDrained`.
    public func finishSending() { if let layer { layer.finishSending(socket) } else { socket.finishSending() } }

    /// Makes closing send a reset, so that a peer that holds the connection open learns of it at once.
    public func resetOnClose() {
        layer?.resetOnClose()
        socket.resetOnClose()
    }

    /// Tells the layer that the connection is over.
    public func closeLayer() { layer?.close() }

    /// Bytes that the kernel has taken and the far end has not acknowledged; nil where there is no socket.
    public var bytesInKernel: Int? { socket.bytesUnacknowledged }

    /// Bytes of memory in the layer for what it keeps.
    public var bytesKept: Int { layer?.bytesKept ?? 0 }

    // MARK: The ends

    /// Small messages leave at once: what belongs together is already in one call.
    public func disableDelay() { socket.disableDelay() }

    /// The address at the far end as the layer knows it, where it is not that of the socket.
    public var announcedAddress: SocketAddress? { layer?.peerAddress }
    /// The address at the far end; nil when the peer has gone already.
    public var peerAddress: SocketAddress? { layer?.peerAddress ?? socket.peerAddress }
    /// The address at our end.
    public var localAddress: SocketAddress? { layer?.localAddress ?? socket.localAddress }
}
