import Bytes
import Glibc

/// What dlopen answered: any thread may hold it, and the control thread alone gives it back.
@safe struct ImageHandle: Sendable {
    private let handle: SendablePointer<UnsafeMutableRawPointer>

    init(_ handle: UnsafeMutableRawPointer) { unsafe self.handle = SendablePointer(handle) }

    /// Gives back the one reference; nothing may call into the image any more. Control thread.
    func close() -> Bool { unsafe dlclose(handle.pointer) == 0 }
}
