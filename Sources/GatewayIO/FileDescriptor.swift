import Glibc

/// A descriptor with one owner: it is closed when its owner lets go of it.
package struct FileDescriptor: ~Copyable {
    /// The number, for system calls and for nothing else.
    package let number: Int32

    /// Takes over a descriptor that nobody else will close.
    package init(adopting number: Int32) { self.number = number }

    deinit { _ = Glibc.close(number) }

    /// Gives the number away: whoever takes it closes it.
    package consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }
}
