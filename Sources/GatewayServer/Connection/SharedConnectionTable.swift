import Bytes
import HandlerModules
import Synchronization

/// The little that other threads may know and change about the connections of one worker.
///
/// The owner posts an entry when a connection opens and withdraws it when it begins to close; any thread reads. All
/// fields are atomics, and an entry says which serial it is about, so a stale reader finds nothing.
final class SharedConnectionTable: @unchecked Sendable {
    // @unchecked: the memory is reserved once, never moves, and holds nothing but atomics.

    struct Entry: ~Copyable {
        /// The serial of the open connection in this slot; 0 when none is open.
        let serial: Atomic<UInt32>
        /// The serial of the connection that `OutgoingStreams` has something about; 0 for none. A late sender may leave
        /// that of a connection before this one here, which then means nothing.
        let stream: Atomic<UInt32>
        let binding: Atomic<UInt>
        /// Bytes of frames that wait for the peer: in the worker's mailbox, and in the connection's own queue. One
        /// number, so that a frame on its way from one to the other counts at every moment.
        let waiting: Atomic<UInt32>
        /// How many of them are in the connection's queue, as far as the owner has noted it. The owner's alone.
        let noted: Atomic<UInt32>
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
        /// A thread has been refused, and the message that says so is on its way. Never set back but by that.
        let isRefused: Atomic<Bool>
        /// The serial of the connection in this slot, open or closing; the number behind it once another thread has
        /// aborted it; 0 when the slot is empty.
        let occupant: Atomic<UInt32>
        /// The serial of the connection that has ended here last, and has not gone to another process.
        let ended: Atomic<UInt32>

        /// Any thread: a frame goes into the mailbox.
        ///
        /// - Returns: how many bytes wait, those of the frame included.
        func departs(_ bytes: Int) -> Int {
            Int(waiting.wrappingAdd(UInt32(truncatingIfNeeded: bytes), ordering: .sequentiallyConsistent).newValue)
        }

        /// The frame did not go into the mailbox, or came out of it and goes nowhere.
        func vanishes(_ bytes: Int) {
            waiting.wrappingSubtract(UInt32(truncatingIfNeeded: bytes), ordering: .relaxed)
        }

        /// Any thread: bytes of frames in the mailbox.
        var inMailbox: Int {
            Int(waiting.load(ordering: .relaxed) &- noted.load(ordering: .relaxed))
        }

        /// Owner: a frame came out of the mailbox and into the connection's queue.
        func arrives(_ bytes: Int) {
            noted.store(noted.load(ordering: .relaxed) &+ UInt32(truncatingIfNeeded: bytes), ordering: .relaxed)
        }

        /// Owner: so many bytes are in the connection's queue now.
        func note(queued: Int) {
            let queued = UInt32(clamping: queued)
            let former = noted.load(ordering: .relaxed)
            noted.store(queued, ordering: .relaxed)
            waiting.wrappingAdd(queued &- former, ordering: .relaxed)
        }

        /// Owner: whether frames for the slot are in the mailbox.
        var hasMail: Bool { waiting.load(ordering: .sequentiallyConsistent) != noted.load(ordering: .relaxed) }
    }

    private let entries: ReservedArray<Entry>
    private let used = Atomic<UInt32>(0)

    /// - Returns: nil when the kernel refuses the address space.
    init?(capacity: Int) {
        guard let entries = ReservedArray<Entry>(capacity: capacity) else { return nil }
        self.entries = entries
    }

    /// Owner: a connection is open.
    func post(_ id: ConnectionID, binding: UnsafeMutablePointer<Binding>, openedAt: UInt32) {
        let slot = id.slot
        entries[slot].binding.store(UInt(bitPattern: binding), ordering: .relaxed)
        entries[slot].stream.store(0, ordering: .relaxed)
        entries[slot].readingOff.store(false, ordering: .relaxed)
        entries[slot].roundTripMicroseconds.store(0, ordering: .relaxed)
        entries[slot].openedAt.store(openedAt, ordering: .relaxed)
        entries[slot].lastIn.store(openedAt, ordering: .relaxed)
        entries[slot].lastOut.store(openedAt, ordering: .relaxed)
        entries[slot].occupant.store(id.serial, ordering: .releasing)
        entries[slot].serial.store(id.serial, ordering: .releasing)
        if slot >= used.load(ordering: .relaxed) { used.store(slot + 1, ordering: .releasing) }
    }

    /// Owner: another binding serves the connection.
    func rebind(_ slot: UInt32, to binding: UnsafeMutablePointer<Binding>) {
        entries[slot].binding.store(UInt(bitPattern: binding), ordering: .sequentiallyConsistent)
    }

    /// Owner: from here on sends to it are refused everywhere.
    func withdraw(_ slot: UInt32) { entries[slot].serial.store(0, ordering: .sequentiallyConsistent) }

    /// Owner: the connection has gone to another process.
    func clear(_ slot: UInt32) { entries[slot].occupant.store(0, ordering: .releasing) }

    /// Owner: `close` of the connection is due, or the slot is empty.
    func end(_ id: ConnectionID) {
        if entries[id.slot].occupant.load(ordering: .relaxed) == 0 { return }
        entries[id.slot].ended.store(id.serial, ordering: .relaxed)
        clear(id.slot)
    }

    /// Any thread: the connection has ended here, or been aborted; no other process has it.
    func hasEnded(_ id: ConnectionID) -> Bool {
        guard id.slot < used.load(ordering: .acquiring), id.serial & 1 == 1 else { return false }
        return entries[id.slot].occupant.load(ordering: .acquiring) == id.serial &+ 1
            || entries[id.slot].ended.load(ordering: .relaxed) == id.serial
    }

    /// Any thread, in the same breath as a message that tells the owner: the connection is aborted, and answers to
    /// nothing any more.
    ///
    /// - Returns: false when it is not there, or has been aborted already.
    func abort(_ id: ConnectionID) -> Bool {
        guard id.slot < used.load(ordering: .acquiring), id.serial & 1 == 1 else { return false }
        // Serials of connections are odd: the even one behind it says that this one has been aborted.
        let isFirst = entries[id.slot].occupant.compareExchange(
            expected: id.serial, desired: id.serial &+ 1, ordering: .acquiringAndReleasing
        ).exchanged
        if isFirst { _ = takeDown(id) }
        return isFirst
    }

    /// Any thread: withdraws an entry for the owner; false when another thread has done so already.
    func takeDown(_ id: ConnectionID) -> Bool {
        entries[id.slot].serial.compareExchange(expected: id.serial, desired: 0, ordering: .acquiringAndReleasing)
            .exchanged
    }

    /// Any thread: the module whose handler serves the connection, be it open or closing; nil when it has ended.
    func module(of id: ConnectionID) -> UInt32? {
        guard id.slot < used.load(ordering: .acquiring), id.serial != 0,
            entries[id.slot].occupant.load(ordering: .acquiring) == id.serial,
            // Bindings are never freed.
            let binding = unsafe UnsafeMutablePointer<Binding>(
                bitPattern: entries[id.slot].binding.load(ordering: .relaxed))
        else { return nil }
        return unsafe binding.pointee.module
    }

    /// Any thread: the site of the instance that serves the connection, be it open or closing, if it is of a module; nil
    /// when it has ended.
    func crashSite(of id: ConnectionID, module: UInt32) -> CrashSite? {
        guard id.slot < used.load(ordering: .acquiring), id.serial != 0,
            entries[id.slot].occupant.load(ordering: .acquiring) == id.serial,
            // Bindings are never freed.
            let binding = unsafe UnsafeMutablePointer<Binding>(
                bitPattern: entries[id.slot].binding.load(ordering: .relaxed)),
            unsafe binding.pointee.module == module
        else { return nil }
        return unsafe binding.pointee.site
    }

    /// Whether the connection is open, for deciding with a lock held that the owner takes after it withdraws.
    func isOpen(_ id: ConnectionID) -> Bool {
        id.slot < used.load(ordering: .acquiring) && id.serial != 0
            && entries[id.slot].serial.load(ordering: .sequentiallyConsistent) == id.serial
    }

    /// The entry of an open connection; nil when it is closing, gone, or never was.
    func find(_ id: ConnectionID) -> UInt32? {
        let slot = id.slot
        guard slot < used.load(ordering: .acquiring), id.serial != 0,
            entries[slot].serial.load(ordering: .acquiring) == id.serial
        else { return nil }
        return slot
    }

    /// Any thread: the number of the instance that serves or served the slot; 0 when none ever did.
    func instance(_ slot: UInt32) -> UInt64 {
        let address = entries[slot].binding.load(ordering: .sequentiallyConsistent)
        // Bindings are never freed.
        guard let binding = unsafe UnsafeMutablePointer<Binding>(bitPattern: address) else { return 0 }
        return unsafe binding.pointee.instanceID
    }

    /// Whether `OutgoingStreams` has something about the connection: a fragmented message to it is open, or some of it
    /// is still in the mailbox.
    @inline(__always)
    func isStreaming(_ id: ConnectionID) -> Bool {
        entries[id.slot].stream.load(ordering: .acquiring) == id.serial
    }

    subscript(slot: UInt32) -> Entry {
        unsafeAddress { unsafe UnsafePointer(entries.address(slot)) }
    }

    /// Any thread: how many bytes wait for peers, connection by connection, with what their instances are counted under.
    func waiting(_ visit: (InstanceCounters.Name, UInt32) -> Void) {
        for slot in 0..<used.load(ordering: .acquiring) {
            let bytes = entries[slot].waiting.load(ordering: .relaxed)
            guard bytes != 0, entries[slot].occupant.load(ordering: .acquiring) != 0,
                // Bindings are never freed.
                let binding = unsafe UnsafeMutablePointer<Binding>(
                    bitPattern: entries[slot].binding.load(ordering: .relaxed))
            else { continue }
            unsafe visit(binding.pointee.instanceContext.counters.name, bytes)
        }
    }

    /// The connections of one instance whose `close` has not been called; closing ones count until then.
    func connections(of instance: UInt64, worker: UInt8, _ visit: (ConnectionID) -> Void) {
        for slot in 0..<used.load(ordering: .acquiring) {
            let occupant = entries[slot].occupant.load(ordering: .acquiring)
            guard occupant != 0, self.instance(slot) == instance else { continue }
            // An even one is that of a connection whose abort is on its way.
            visit(ConnectionID(worker: worker, slot: slot, serial: occupant & 1 == 1 ? occupant : occupant &- 1))
        }
    }
}
