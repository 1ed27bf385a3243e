/// What handlers know a connection by: worker, slot and serial in one number that is never used twice.
///
///     63      56 55              32 31                             0
///     [ worker ][      slot       ][           serial             ]
struct ConnectionID: Equatable, Hashable, Sendable {
    let number: UInt64

    static let maximumSlots = 1 << 24
    static let maximumWorkers = 256

    init(_ number: UInt64) { self.number = number }

    init(worker: UInt8, slot: UInt32, serial: UInt32) {
        number = UInt64(worker) << 56 | UInt64(slot) << 32 | UInt64(serial)
    }

    var worker: Int { Int(number >> 56) }
    var slot: UInt32 { UInt32(truncatingIfNeeded: number >> 32) & 0xFF_FFFF }
    var serial: UInt32 { UInt32(truncatingIfNeeded: number) }
}
