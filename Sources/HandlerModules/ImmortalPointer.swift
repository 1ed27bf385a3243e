/// The address of something that never changes and lives as long as the process: a host table.
///
/// Host tables are never freed, so the address may cross threads; it is kept as a number, because a pointer cannot say
/// so.
@safe struct ImmortalPointer<Pointee>: Sendable {
    let address: UInt

    init(_ pointer: UnsafePointer<Pointee>) {
        address = UInt(bitPattern: pointer)
    }

    var pointer: UnsafePointer<Pointee> {
        // Never nil: it was made from a pointer.
        unsafe UnsafePointer(bitPattern: address)!
    }
}
