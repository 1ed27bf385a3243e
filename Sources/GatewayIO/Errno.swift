import Glibc

/// An error number of the kernel, with its text.
package struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
    /// The number as the C library names it (`EMFILE`, `ECONNRESET`, …).
    package let code: Int32

    package init(_ code: Int32) { self.code = code }

    /// The number that the call just made left behind; read it before anything else can run.
    package static var last: Errno { Errno(Glibc.errno) }

    package var description: String {
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}
