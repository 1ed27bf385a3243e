import Glibc

/// What dlopen answered, kept as a number, which may cross threads.
@safe struct ImageHandle: Sendable {
    private let address: UInt

    init(_ handle: UnsafeMutableRawPointer) {
        address = UInt(bitPattern: handle)
    }

    /// Gives back the one reference; nothing may call into the image any more. Control thread.
    func close() -> Bool {
        unsafe dlclose(UnsafeMutableRawPointer(bitPattern: address)!) == 0
    }
}
