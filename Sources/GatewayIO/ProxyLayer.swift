import Bytes
import Glibc

/// Takes the PROXY header off the front of a connection. With that its part is done: the connection goes on without it,
/// with the layer that was to come behind it, if there is one.
public final class ProxyLayer: TransportLayer {
    private var header = ProxyHeader()
    private let next: TransportLayer?
    private var reason: String?
    /// The peer is gone and has said nothing.
    private var hasLeft = false

    /// - Parameter next: what is between the connection and the bytes behind the header.
    public init(_ next: TransportLayer?) { self.next = next }

    public override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if !header.isWhole {
            let result = readHeader(socket)
            guard header.isWhole else { return ended(result) }
            if let next {
                // It is read when there is something for it: whoever has sent no more takes no turn of a handshake.
                next.leave = leave
                leave = nil
                return .wouldBlock
            }
        }
        return unsafe next?.read(socket, into: buffer) ?? socket.read(into: buffer)
    }

    /// Takes the header from the socket and not a byte of what follows: that is for whoever reads next.
    ///
    /// - Returns: why it is not whole, if it is not.
    private func readHeader(_ socket: borrowing Socket) -> IOResult {
        if reason != nil { return .failed(Errno(EPROTO)) }
        // What was looked at is taken at once, so that the poller does not tell of it again.
        return unsafe withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { room in
            while !header.isWhole {
                let result = unsafe socket.peek(into: room)
                guard case .moved(let count) = result else { return result }
                do throws(ProxyHeader.Failure) {
                    let seen = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
                    let used = try header.take(unsafe Array(seen))
                    let part = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<used])
                    guard case .moved(used) = unsafe socket.read(into: part) else { return .failed(Errno(EIO)) }
                } catch {
                    reason = error.description
                    return .failed(Errno(EPROTO))
                }
            }
            return .moved(0)
        }
    }

    /// What it comes to that the header is not whole.
    private func ended(_ result: IOResult) -> IOResult {
        switch result {
        case .endOfStream where header.hasBegun:
            reason = "the peer left in the PROXY header"
            return .failed(Errno(ECONNRESET))
        // Who connects and leaves without a word, to see whether somebody is here, has done nothing wrong.
        case .failed: hasLeft = reason == nil && !header.hasBegun
        case .moved, .wouldBlock, .endOfStream: break
        }
        return result
    }

    public override var isOver: Bool { header.isWhole }
    public override var successor: TransportLayer? { next }
    public override var lacksHeader: Bool { !header.isWhole && !hasLeft }
    public override var peerAddress: SocketAddress? { header.peer }

    public override var failure: String? {
        if hasLeft { return nil }
        return header.isWhole ? next?.failure : reason ?? "the PROXY header was not finished"
    }

    // MARK: What the next one does

    public override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        unsafe next?.write(socket, bytes) ?? socket.write(bytes)
    }

    public override func write(
        _ socket: borrowing Socket, runs: UnsafeBufferPointer<UnsafeRawBufferPointer>
    ) -> IOResult {
        guard let next else { return unsafe super.write(socket, runs: runs) }
        return unsafe next.write(socket, runs: runs)
    }

    public override var isDrained: Bool { next?.isDrained ?? true }
    public override func flush(_ socket: borrowing Socket) -> IOResult { next?.flush(socket) ?? .moved(0) }
    public override var hasInput: Bool { next?.hasInput ?? false }
    public override var security: TransportSecurity? { next?.security }
    public override var isBypassed: Bool { next?.isBypassed ?? false }

    public override func finishSending(_ socket: borrowing Socket) {
        if let next { next.finishSending(socket) } else { socket.finishSending() }
    }
}
