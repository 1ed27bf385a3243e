import Glibc

/// An error number of the kernel, with its text.
public struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
    /// The number as the C library names it (`EMFILE`, `ECONNRESET`, …).
    public let code: Int32

    public init(_ code: Int32) { self.code = code }

    /// The number that the call just made left behind; read it before anything else can run.
    public static var last: Errno { Errno(Glibc.errno) }

    public var description: String {
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}
