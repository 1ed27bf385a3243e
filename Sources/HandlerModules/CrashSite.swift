public import CLinux

/// Names a generation on a route in the record of a crash: enter it before each callback, leave it behind.
///
/// It lives as long as the process, some hundred bytes for each instance, so that a thread may die in it at any time.
public struct CrashSite: Sendable {
    /// As a number, which may cross threads; 0 names nothing.
    let address: UInt

    /// Makes a new one; the empty route means that it is the business of none.
    public init(handler: String, generation: UInt64, digest: UInt64, route: String) {
        address = UInt(bitPattern: unsafe clinux_make_crash_site(handler, generation, digest, route))
    }

    init(address: UInt) {
        self.address = address
    }

    /// Three stores of this thread: from now on a crash is put down to this site.
    @inline(__always)
    public func enter(_ callback: clinux_callback, connection: UInt64 = 0) {
        unsafe clinux_enter_callback(UnsafePointer(bitPattern: address), callback.rawValue, connection)
    }

    /// No code of a handler runs on this thread any more; a single store.
    @inline(__always)
    public static func leave() {
        clinux_leave_callback()
    }
}
