public import Bytes
import CLinux
import Glibc

/// A connected, non-blocking stream socket with one owner.
public struct Socket: ~Copyable {
    private let descriptor: FileDescriptor

    public init(adopting number: Int32) { descriptor = FileDescriptor(adopting: number) }

    public var number: Int32 { descriptor.number }

    /// Gives the descriptor away.
    public consuming func release() -> Int32 { descriptor.release() }

    /// Small messages leave at once: what belongs together is already in one call.
    public func disableDelay() { option(Int32(IPPROTO_TCP), TCP_NODELAY, 1) }

    private func option(_ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        // A unix socket refuses TCP options; it needs none of them.
        _ = unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Reads once into the buffer.
    @inline(__always)
    public func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        Self.received(unsafe clinux_receive(number, buffer.baseAddress, buffer.count), of: buffer.count)
    }

    /// Reads once into two buffers, the first one first.
    public func read(
        into first: UnsafeMutableRawBufferPointer, then second: UnsafeMutableRawBufferPointer
    ) -> IOResult {
        var vectors = unsafe (
            iovec(iov_base: first.baseAddress, iov_len: first.count),
            iovec(iov_base: second.baseAddress, iov_len: second.count)
        )
        let count = unsafe withUnsafeMutableBytes(of: &vectors) { raw in
            unsafe readv(number, raw.assumingMemoryBound(to: iovec.self).baseAddress, 2)
        }
        return Self.received(count, of: first.count &+ second.count)
    }

    /// Looks at what is there without taking it.
    func peek(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        Self.received(unsafe recv(number, buffer.baseAddress, buffer.count, Int32(MSG_PEEK)), of: buffer.count)
    }

    @inline(__always)
    private static func received(_ count: Int, of room: Int) -> IOResult {
        if count > 0 { return .moved(count) }
        // Reading into no room answers 0 on an open stream as well.
        if count == 0 { return room > 0 ? .endOfStream : .moved(0) }
        return interrupted()
    }

    /// Sends what the kernel takes of a run of bytes.
    public func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let count = unsafe clinux_send(number, bytes.baseAddress, bytes.count)
        return count >= 0 ? .moved(count) : Self.interrupted()
    }

    /// Sends what the kernel takes of the queue, in one call, with `tail` behind it if there is one.
    ///
    /// - Returns: `.moved` with the bytes taken of both together, the queue's first; nothing is removed from it.
    @inline(__always)
    public func write(_ queue: borrowing SendQueue, tail: UnsafeRawBufferPointer? = nil) -> IOResult {
        if unsafe tail == nil, let single = unsafe queue.single {
            let count = unsafe clinux_send(number, single.baseAddress, single.count)
            return count >= 0 ? .moved(count) : Self.interrupted()
        }
        return unsafe writeVectors(queue, tail: tail)
    }

    /// 1,024 bytes of vectors: the most that a temporary allocation takes from the stack and not from the heap.
    private static let vectorCount = 64

    @inline(never)
    private func writeVectors(_ queue: borrowing SendQueue, tail: UnsafeRawBufferPointer?) -> IOResult {
        let most = Self.vectorCount - 1
        let count = unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.vectorCount) { vectors in
            var filled = unsafe queue.gather(into: UnsafeMutableBufferPointer(rebasing: vectors[..<most]))
            // A tail stands behind the whole queue, so it waits when there may be more blocks than were gathered.
            if let tail = unsafe tail, filled < most {
                let base = unsafe UnsafeMutableRawPointer(mutating: tail.baseAddress)
                unsafe vectors[filled] = iovec(iov_base: base, iov_len: tail.count)
                filled += 1
            }
            var message = unsafe msghdr()
            unsafe message.msg_iov = vectors.baseAddress
            unsafe message.msg_iovlen = filled
            return unsafe sendmsg(number, &message, Int32(MSG_NOSIGNAL))
        }
        return count >= 0 ? .moved(count) : Self.interrupted()
    }

    static func interrupted() -> IOResult {
        let error = Errno.last
        switch error.code {
        // An interrupted call on a non-blocking socket moved nothing; the level-triggered poller comes back to it.
        case EAGAIN, EINTR: return .wouldBlock
        default: return .failed(error)
        }
    }

    /// Says that nothing more will be sent; reading goes on.
    public func finishSending() { _ = shutdown(number, Int32(SHUT_WR)) }

    /// Ends both directions for every copy of the socket, be it one of another process.
    package func endBoth() { _ = shutdown(number, Int32(SHUT_RDWR)) }

    /// Makes closing send a reset, so that a peer that holds the connection open learns of it at once.
    public func resetOnClose() {
        var value = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(number, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// Whether that was asked for, through this descriptor or through any copy of it.
    package var resetsOnClose: Bool {
        var value = linger()
        var length = socklen_t(MemoryLayout<linger>.size)
        guard unsafe getsockopt(number, SOL_SOCKET, SO_LINGER, &value, &length) == 0 else { return false }
        return value.l_onoff != 0 && value.l_linger == 0
    }

    /// Bytes that were written and not acknowledged; nil when this is no socket.
    public var bytesUnacknowledged: Int? {
        let count = clinux_unacknowledged(number)
        return count < 0 ? nil : Int(count)
    }

    /// The address at the far end; nil when the peer has gone already.
    public var peerAddress: SocketAddress? { SocketAddress(peerOf: number) }
    /// The address at our end.
    public var localAddress: SocketAddress? { SocketAddress(boundTo: number) }
}
