import Bytes
import GatewayIO

/// The slots of one worker's connections.
///
/// A slot's serial is odd while it is taken and grows by one at each change, so neither a stale event nor a stale
/// `gw_conn` ever matches. Owned by the worker's thread.
struct ConnectionTable: ~Copyable {
    private let slots: ReservedArray<Connection>
    private let serials: ReservedArray<UInt32>
    private var free: [UInt32] = []
    /// Slots that were ever used lie below it.
    private(set) var used: UInt32 = 0
    private(set) var count = 0
    let capacity: Int
    /// What its connections send is written down.
    private let isRecorded: Bool
    /// Slots below it are for connections of another process, which have been there in the same ones.
    private(set) var reserved: UInt32 = 0
    /// Slots whose connections have gone to another process, which has them in the same ones.
    private var lent: Set<UInt32> = []
    /// Serials from here on are for connections that come now; even.
    private var firstSerial: UInt32 = 0

    /// - Returns: nil when the kernel refuses the address space.
    init?(capacity: Int, isRecorded: Bool = false) {
        guard let slots = ReservedArray<Connection>(capacity: capacity),
            let serials = ReservedArray<UInt32>(capacity: capacity)
        else { return nil }
        self.slots = slots
        self.serials = serials
        (self.capacity, self.isRecorded) = (capacity, isRecorded)
    }

    /// Puts a new peer into a slot; nil, and its socket is closed, when none is free.
    mutating func insert(_ transport: consuming Transport, worker: UInt8, now: UInt32) -> ConnectionPointer? {
        let slot: UInt32
        if let last = free.popLast() {
            slot = last
        } else if Int(used) < capacity {
            slot = used
            used += 1
        } else {
            return nil
        }
        // Not `&+=`: with the thread sanitizer the compiler (6.3.1) makes invalid code of it.
        serials[slot] = max(serials[slot], firstSerial) &+ 1
        return fill(slot, transport, worker: worker, now: now)
    }

    private mutating func fill(
        _ slot: UInt32, _ transport: consuming Transport, worker: UInt8, now: UInt32
    ) -> ConnectionPointer {
        let connection = Connection(slot: slot, serial: serials[slot], worker: worker, transport: transport, now: now)
        unsafe slots.address(slot).initialize(to: connection)
        if isRecorded { unsafe slots.address(slot).pointee.outbox.isRecorded = true }
        count += 1
        return unsafe ConnectionPointer(slots.address(slot))
    }

    /// Empties a slot: closes the socket and frees what the connection owned.
    mutating func remove(_ slot: UInt32) {
        unsafe slots.address(slot).deinitialize(count: 1)
        serials[slot] = serials[slot] &+ 1
        count -= 1
        if slot >= reserved, lent.isEmpty || !lent.contains(slot) { release(slot) }
    }

    /// A slot may be given to anybody.
    private mutating func release(_ slot: UInt32) {
        // A slot whose serials are used up is left empty for ever rather than begin again.
        if serials[slot] < UInt32.max - 1 { free.append(slot) }
    }

    // MARK: Connections that go to another process

    /// The slot is not given to anybody when it becomes empty.
    mutating func lend(_ slot: UInt32) { lent.insert(slot) }

    func isLent(_ slot: UInt32) -> Bool { !lent.isEmpty && lent.contains(slot) }

    /// The other process has none of them any more.
    mutating func takeBackLent() {
        let slots = lent
        lent = []
        for slot in slots where serials[slot] & 1 == 0 { release(slot) }
    }

    // MARK: Connections of another process

    /// The highest serial there was.
    var highestSerial: UInt32 { (0..<used).reduce(0) { max($0, serials[$1]) } }

    /// Another process counts on from there: whoever comes here from now on has a number that nobody has there.
    mutating func leaveSerials() { firstSerial = (min(highestSerial, 3 << 30) &+ Self.room) & ~1 }

    /// More than anybody needs as long as two processes serve.
    private static let room: UInt32 = 1 << 28

    /// Keeps slots free for connections of another process, before there is any here: none of this process's has a number
    /// that one there has, or had.
    ///
    /// - Parameters:
    ///   - count: of the slots that were ever used there.
    ///   - highest: the highest serial there.
    mutating func reserve(_ count: UInt32, serialsUpTo highest: UInt32) {
        precondition(used == 0, "slots are reserved while some are used")
        reserved = min(count, UInt32(clamping: capacity))
        used = reserved
        // Even: the slots are empty.
        for slot in 0..<reserved { serials[slot] = highest &+ (highest & 1) }
    }

    /// No more of them will come.
    mutating func releaseReserved() {
        let count = reserved
        reserved = 0
        for slot in (0..<count).reversed() where serials[slot] & 1 == 0 { release(slot) }
    }

    /// Puts a peer of another process into the slot that it had there; nil, and its socket is closed, when that is not
    /// free.
    mutating func insert(_ transport: consuming Transport, as id: ConnectionID, now: UInt32) -> ConnectionPointer? {
        let slot = id.slot
        guard id.serial & 1 == 1, Int(slot) < capacity else { return nil }
        if slot >= used {
            for unused in used..<slot { release(unused) }
            used = slot + 1
        } else if slot >= reserved {
            guard serials[slot] & 1 == 0, let place = free.lastIndex(of: slot) else { return nil }
            free.remove(at: place)
        } else if serials[slot] & 1 == 1 {
            return nil
        }
        serials[slot] = id.serial
        return fill(slot, transport, worker: UInt8(truncatingIfNeeded: id.worker), now: now)
    }

    /// The connection in a slot, if it is the one with this serial.
    @inline(__always)
    func find(slot: UInt32, serial: UInt32) -> ConnectionPointer? {
        guard slot < used, serials[slot] == serial, serial & 1 == 1 else { return nil }
        return unsafe ConnectionPointer(slots.address(slot))
    }

    /// The connection that is in a slot now.
    func occupant(_ slot: UInt32) -> ConnectionPointer? {
        guard slot < used, serials[slot] & 1 == 1 else { return nil }
        return unsafe ConnectionPointer(slots.address(slot))
    }
}
