import CLinux
import Glibc

/// A non-blocking unix stream socket with one owner, over which descriptors travel beside the bytes (SCM_RIGHTS).
///
/// Those that are sent with a call leave with its first byte, and come, at the latest, with the read that brings that byte:
/// in their order, and never before what was sent ahead of them is read, but for bytes of the same read.
package struct DescriptorSocket: ~Copyable, Sendable {
    /// Descriptors that one call takes at most.
    package static let mostDescriptors = Int(CLINUX_MOST_PASSED)

    /// What became of bytes and descriptors.
    package enum Sent: Equatable, Sendable {
        /// So many bytes have left, and with them all descriptors.
        case moved(Int)
        /// There is no room now; the poller says when.
        case wouldBlock
        /// Too many descriptors of this user are on their way, unread (ETOOMANYREFS), or the kernel has no memory for it now.
        /// Nothing says when: try again after a while.
        case crowded
        case failed(Errno)
    }

    /// Two ends that are connected.
    package struct Pair: ~Copyable {
        private var near: DescriptorSocket?
        private var far: DescriptorSocket?

        package init() throws(Errno) {
            var ends: (Int32, Int32) = (-1, -1)
            guard unsafe clinux_socket_pair(&ends.0, &ends.1) == 0 else { throw Errno.last }
            near = DescriptorSocket(adopting: ends.0)
            far = DescriptorSocket(adopting: ends.1)
        }

        /// Each end can be had once.
        package mutating func takeNear() -> DescriptorSocket? { near.take() }
        package mutating func takeFar() -> DescriptorSocket? { far.take() }
    }

    private let descriptor: FileDescriptor

    /// Takes over one end of a pair; nonsense is found out when it is used.
    package init(adopting number: Int32) { descriptor = FileDescriptor(adopting: number) }

    /// Takes over a descriptor that another process has handed down, whatever it may be; nil, and it stays open, where it
    /// is no such socket. No program that is started from here on inherits it.
    package init?(inherited number: Int32) {
        guard number > STDERR_FILENO, clinux_is_stream_pair(number) == 1, clinux_close_on_exec(number) == 0 else {
            return nil
        }
        let flags = fcntl(number, F_GETFL)
        guard flags >= 0, fcntl(number, F_SETFL, flags | O_NONBLOCK) == 0 else { return nil }
        self.init(adopting: number)
    }

    package var number: Int32 { descriptor.number }

    /// Gives the descriptor away.
    package consuming func release() -> Int32 { descriptor.release() }

    /// Sends what the kernel takes, in one call; once anything has left, the descriptors are closed here.
    package func write(_ bytes: ArraySlice<UInt8>, passing descriptors: PassedDescriptors? = nil) -> Sent {
        let count = unsafe bytes.withUnsafeBytes { bytes in
            guard let descriptors else { return unsafe clinux_send(number, bytes.baseAddress, bytes.count) }
            return descriptors.withNumbers { numbers in
                unsafe clinux_send_passing(
                    number, bytes.baseAddress, bytes.count, numbers, Int32(clamping: numbers.count))
            }
        }
        if count >= 0 {
            descriptors?.closeAll()
            return .moved(count)
        }
        let error = Errno.last
        switch error.code {
        case EAGAIN, EINTR: return .wouldBlock
        case ETOOMANYREFS, ENOBUFS, ENOMEM: return .crowded
        default: return .failed(error)
        }
    }

    /// Reads once, at most so many bytes, behind those that are there; what comes beside them goes behind `descriptors`.
    ///
    /// - Parameter most: how many descriptors may come. More are an error, EPROTO, and are closed.
    package func read(
        appendingTo bytes: inout [UInt8], atMost room: Int, _ descriptors: PassedDescriptors,
        atMost most: Int = DescriptorSocket.mostDescriptors
    ) -> IOResult {
        var numbers = [Int32](repeating: -1, count: Self.mostDescriptors)
        var passed: Int32 = 0
        var error = Errno(0)
        let count = unsafe withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { part in
            let count = unsafe clinux_receive_passed(
                number, part.baseAddress, room, &numbers, Int32(clamping: min(most, numbers.count)), &passed)
            if count < 0 { error = Errno.last }
            unsafe bytes.append(
                contentsOf: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(part)[..<max(0, count)]))
            return count
        }
        descriptors.append(numbers[..<Int(passed)])
        if count > 0 { return .moved(count) }
        if count == 0 { return room > 0 ? .endOfStream : .moved(0) }
        return error.code == EAGAIN || error.code == EINTR ? .wouldBlock : .failed(error)
    }
}
