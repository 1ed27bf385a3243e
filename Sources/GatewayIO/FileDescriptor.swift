import Glibc

/// A descriptor with one owner: it is closed when its owner lets go of it.
public struct FileDescriptor: ~Copyable, Sendable {
    /// The number, for system calls and for nothing else.
    public let number: Int32

    /// Takes over a descriptor that has no other owner to close it.
    public init(adopting number: Int32) { self.number = number }

    deinit { if number >= 0 { _ = Glibc.close(number) } }

    /// Gives the number away: the caller closes it.
    public consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}
