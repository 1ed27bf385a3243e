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

    /// - Returns: nil when the kernel refuses the address space.
    init?(capacity: Int) {
        guard let slots = ReservedArray<Connection>(capacity: capacity),
            let serials = ReservedArray<UInt32>(capacity: capacity)
        else { return nil }
        self.slots = slots
        self.serials = serials
        self.capacity = capacity
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
        serials[slot] = serials[slot] &+ 1
        let connection = Connection(slot: slot, serial: serials[slot], worker: worker, transport: transport, now: now)
        unsafe slots.address(slot).initialize(to: connection)
        count += 1
        return unsafe ConnectionPointer(slots.address(slot))
    }

    /// Empties a slot: closes the socket and frees what the connection owned.
    mutating func remove(_ slot: UInt32) {
        unsafe slots.address(slot).deinitialize(count: 1)
        serials[slot] = serials[slot] &+ 1
        count -= 1
        // A slot whose serials are used up is left empty for ever rather than begin again.
        if serials[slot] < UInt32.max - 1 { free.append(slot) }
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
