import Bytes
import Synchronization

/// The little that other threads may know and change about the connections of one worker.
///
/// The owner posts a notice when a connection opens and withdraws it when it begins to close; anybody reads. All
/// fields are atomics, and a notice says which serial it is about, so a stale reader finds nothing.
final class ConnectionBoard: @unchecked Sendable {
    // @unchecked: the memory is reserved once, never moves, and holds nothing but atomics.

    struct Notice: ~Copyable {
        /// The serial of the open connection in this slot; 0 when none is open.
        let serial: Atomic<UInt32>
        /// The serial of the connection to which a fragmented message is under way; 0 for none. A late sender may
        /// leave that of a connection before this one here, which then means nothing.
        let stream: Atomic<UInt32>
        let binding: Atomic<UInt>
        /// Octets that wait in the connection's own queue, as of the last turn that changed it.
        let queued: Atomic<UInt32>
        /// Octets of frames on their way to the slot in the worker's mailbox. Never set back: letters to a connection
        /// that has left are taken off when they are opened.
        let underway: Atomic<UInt32>
        /// Topics of the connection, those it is being subscribed to included. Never set back either: each
        /// subscription is taken off when it ends.
        let topics: Atomic<UInt32>
        /// Jobs of the connection whose end it has not heard of: it does not move meanwhile. Never set back either.
        let jobs: Atomic<UInt32>
        let openedAt: Atomic<UInt32>
        let lastIn: Atomic<UInt32>
        let lastOut: Atomic<UInt32>
        let roundTripMicroseconds: Atomic<UInt32>
        let readingOff: Atomic<Bool>
        /// The serial of whoever is in this slot, open or closing; 0 when it is empty.
        let occupant: Atomic<UInt32>

        /// Any thread: so many octets have been sent off to the owner.
        ///
        /// - Returns: how many are under way now. Limits are far below what 32 bits count; a single frame beyond that
        ///   is taken off as it was put on.
        func departs(_ octets: Int) -> Int {
            Int(underway.wrappingAdd(UInt32(truncatingIfNeeded: octets), ordering: .relaxed).newValue)
        }

        /// They have come, or will not.
        func arrived(_ octets: Int) {
            underway.wrappingSubtract(UInt32(truncatingIfNeeded: octets), ordering: .relaxed)
        }
    }

    private let notices: Reserved<Notice>
    private let used = Atomic<UInt32>(0)

    /// - Returns: nil when the kernel refuses the address space.
    init?(capacity: Int) {
        guard let notices = Reserved<Notice>(capacity: capacity) else { return nil }
        self.notices = notices
    }

    /// Owner: a connection is open.
    func post(_ id: ConnectionID, binding: UnsafeMutablePointer<Binding>, openedAt: UInt32) {
        let slot = id.slot
        notices[slot].binding.store(UInt(bitPattern: binding), ordering: .relaxed)
        notices[slot].queued.store(0, ordering: .relaxed)
        notices[slot].stream.store(0, ordering: .relaxed)
        notices[slot].readingOff.store(false, ordering: .relaxed)
        notices[slot].roundTripMicroseconds.store(0, ordering: .relaxed)
        notices[slot].openedAt.store(openedAt, ordering: .relaxed)
        notices[slot].lastIn.store(openedAt, ordering: .relaxed)
        notices[slot].lastOut.store(openedAt, ordering: .relaxed)
        notices[slot].occupant.store(id.serial, ordering: .releasing)
        notices[slot].serial.store(id.serial, ordering: .releasing)
        if slot >= used.load(ordering: .relaxed) { used.store(slot + 1, ordering: .releasing) }
    }

    /// Owner: another binding serves the connection.
    func rebind(_ slot: UInt32, to binding: UnsafeMutablePointer<Binding>) {
        notices[slot].binding.store(UInt(bitPattern: binding), ordering: .sequentiallyConsistent)
    }

    /// Owner: from here on sends to it are refused everywhere.
    func withdraw(_ slot: UInt32) { notices[slot].serial.store(0, ordering: .releasing) }

    /// Owner: `close` of the connection is due, or the slot is empty.
    func clear(_ slot: UInt32) { notices[slot].occupant.store(0, ordering: .releasing) }

    /// Any thread: withdraws a notice for the owner; false when somebody has done so already.
    func takeDown(_ id: ConnectionID) -> Bool {
        notices[id.slot].serial.compareExchange(expected: id.serial, desired: 0, ordering: .acquiringAndReleasing)
            .exchanged
    }

    /// Any thread: whether the connection is open or closing.
    func isKnown(_ id: ConnectionID) -> Bool {
        id.slot < used.load(ordering: .acquiring) && id.serial != 0
            && notices[id.slot].occupant.load(ordering: .acquiring) == id.serial
    }

    /// The notice of an open connection; nil when it is closing, gone, or never was.
    func find(_ id: ConnectionID) -> UInt32? {
        let slot = id.slot
        guard slot < used.load(ordering: .acquiring), id.serial != 0,
            notices[slot].serial.load(ordering: .acquiring) == id.serial
        else { return nil }
        return slot
    }

    /// Any thread: the number of the instance that serves or served the slot; 0 when none ever did.
    func instance(_ slot: UInt32) -> UInt64 {
        let address = notices[slot].binding.load(ordering: .sequentiallyConsistent)
        // Bindings are never freed.
        guard let binding = unsafe UnsafeMutablePointer<Binding>(bitPattern: address) else { return 0 }
        return unsafe binding.pointee.instanceID
    }

    /// Whether a fragmented message to this connection is under way.
    @inline(__always)
    func isStreaming(_ id: ConnectionID) -> Bool {
        notices[id.slot].stream.load(ordering: .acquiring) == id.serial
    }

    subscript(slot: UInt32) -> Notice {
        unsafeAddress { unsafe UnsafePointer(notices.address(slot)) }
    }

    /// The connections of one instance whose `close` has not been called; closing ones count until then.
    func connections(of instance: UInt64, worker: UInt8, _ visit: (ConnectionID) -> Void) {
        for slot in 0..<used.load(ordering: .acquiring) {
            let serial = notices[slot].occupant.load(ordering: .acquiring)
            guard serial != 0, self.instance(slot) == instance else { continue }
            visit(ConnectionID(worker: worker, slot: slot, serial: serial))
        }
    }
}
