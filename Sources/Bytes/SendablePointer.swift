/// A pointer that may cross threads, because the type that keeps it says there why that is safe.
///
/// The only way past the compiler for pointers, so that the places can be counted.
@safe
public struct SendablePointer<Pointer>: @unchecked Sendable {
    // @unchecked: as a number a pointer is safe to hand on; what may be done with it on which thread is the keeper's
    // word.
    public let pointer: Pointer

    @inlinable
    public init(_ pointer: Pointer) { self.pointer = pointer }
}
