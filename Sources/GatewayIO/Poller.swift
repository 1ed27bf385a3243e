import CLinux
import Glibc

/// Says which descriptors are ready, level-triggered: what was not consumed is reported again.
///
/// One thread owns it. Each registration carries a token that comes back with its events; a token holds a
/// serial beside the slot, so an event that was queued for a descriptor closed meanwhile is recognised.
@safe
public struct Poller: ~Copyable {
    /// What to wait for on one descriptor.
    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let readable = Interest(rawValue: EPOLLIN.rawValue)
        public static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// Wakes one of several pollers that share a listener, not all of them.
        public static let exclusive = Interest(rawValue: EPOLLEXCLUSIVE.rawValue)
    }

    /// One ready descriptor.
    public struct Event {
        public let token: UInt64
        private let flags: UInt32

        fileprivate init(_ raw: epoll_event) {
            token = unsafe raw.data.u64
            flags = unsafe raw.events
        }

        /// There is something to read, an end of stream and an error included: reading tells which.
        public var isReadable: Bool {
            flags & (EPOLLIN.rawValue | EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0
        }
        public var isWritable: Bool { flags & EPOLLOUT.rawValue != 0 }
        /// Both directions are dead, or an error waits on the descriptor.
        public var isHangUp: Bool { flags & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 }
    }

    private let descriptor: FileDescriptor
    private let events: UnsafeMutablePointer<epoll_event>
    private static let capacity = 1024

    public init() throws(Errno) {
        let number = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard number >= 0 else { throw Errno.last }
        descriptor = FileDescriptor(adopting: number)
        unsafe events = .allocate(capacity: Self.capacity)
    }

    deinit { unsafe events.deallocate() }

    public func add(_ number: Int32, token: UInt64, interest: Interest) throws(Errno) {
        try control(EPOLL_CTL_ADD, number, token, interest)
    }

    public func modify(_ number: Int32, token: UInt64, interest: Interest) throws(Errno) {
        try control(EPOLL_CTL_MOD, number, token, interest)
    }

    /// A poller is readable for another one while it has events itself.
    package var number: Int32 { descriptor.number }

    /// Forgets a descriptor that stays open; closing one forgets it by itself.
    public func remove(_ number: Int32) throws(Errno) {
        try control(EPOLL_CTL_DEL, number, 0, [])
    }

    private func control(_ operation: Int32, _ number: Int32, _ token: UInt64, _ interest: Interest) throws(Errno) {
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        guard unsafe epoll_ctl(descriptor.number, operation, number, &event) == 0 else { throw Errno.last }
    }

    /// Waits for events; nil waits for ever. An interrupted wait answers zero events.
    ///
    /// - Returns: how many events there are; `self[i]` gives them until the next call.
    public func wait(milliseconds: Int32?) throws(Errno) -> Int {
        let count = unsafe epoll_wait(descriptor.number, events, Int32(Self.capacity), milliseconds ?? -1)
        if count >= 0 { return Int(count) }
        let error = Errno.last
        if error.code == EINTR { return 0 }
        throw error
    }

    public subscript(index: Int) -> Event { unsafe Event(events[index]) }
}
