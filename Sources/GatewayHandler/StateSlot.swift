/// Where the `State` of a connection lives while the gateway carries the pointer to it.
///
/// Plain memory and no class: exclusive access is given by the order of callbacks, so nothing is counted or checked.
@usableFromInline
enum StateSlot<State> {
    // A type without size, such as Void, needs no memory; the pointer only has to be one.
    @inlinable static var isEmpty: Bool { MemoryLayout<State>.size == 0 }

    /// Moves a state into memory of its own; `nil` when it needs none.
    static func allocate(_ state: consuming State) -> UnsafeMutableRawPointer? {
        if isEmpty { return nil }
        let slot = UnsafeMutablePointer<State>.allocate(capacity: 1)
        unsafe slot.initialize(to: state)
        return UnsafeMutableRawPointer(slot)
    }

    /// The state of `connection`; without one, which is not this kit's doing, the connection is closed with 1011.
    @inlinable
    static func find(_ slot: UnsafeMutableRawPointer?, of connection: Connection) -> UnsafeMutablePointer<State>? {
        if isEmpty { return unsafe UnsafeMutablePointer(bitPattern: MemoryLayout<State>.alignment) }
        guard let slot = unsafe slot else {
            lost(connection)
            return nil
        }
        return unsafe slot.assumingMemoryBound(to: State.self)
    }

    /// Ends a state; does nothing without one.
    static func free(_ slot: UnsafeMutableRawPointer?) {
        guard let slot = unsafe slot?.assumingMemoryBound(to: State.self) else { return }
        unsafe slot.deinitialize(count: 1)
        unsafe slot.deallocate()
    }

    @usableFromInline
    static func lost(_ connection: Connection) {
        connection.log(.error, "the connection has no state")
        connection.close(.internalError)
    }
}
