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

    private var pointer: UnsafeMutablePointer<clinux_crash_site>? { unsafe UnsafeMutablePointer(bitPattern: address) }

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

/// What is written of a handler's log.
extension CrashSite {
    /// That of the callback that runs on this thread; nil when none does.
    public static var current: CrashSite? {
        unsafe clinux_own_site().map { CrashSite(address: UInt(bitPattern: $0)) }
    }

    /// One more than the least level that is written; 0 leaves that to others. Any thread.
    public var logLevel: UInt32 {
        get { unsafe pointer.map { unsafe clinux_log_level($0) } ?? 0 }
        nonmutating set { unsafe pointer.map { unsafe clinux_set_log_level($0, newValue) } }
    }

    /// The route, where it is the business of one.
    public var route: String? {
        guard let site = unsafe pointer else { return nil }
        let name = unsafe String(cString: site.pointee.route)
        return name.isEmpty ? nil : name
    }
}

/// Callbacks that hold up a loop.
extension CrashSite {
    /// How long a callback may take on a loop, in milliseconds; 0 for ever. Any thread.
    public var patience: UInt32 {
        get { unsafe pointer.map { unsafe clinux_patience($0) } ?? 0 }
        nonmutating set { unsafe pointer.map { unsafe clinux_set_patience($0, newValue) } }
    }

    /// How many took longer. Any thread.
    public var stalls: Int { unsafe Int(clamping: pointer.map { unsafe clinux_stalls($0) } ?? 0) }

    /// The watch: one more did.
    public func countStall() { unsafe pointer.map { unsafe clinux_count_stall($0) } }

    /// What it names, as in `handler "chat", generation 3`.
    public var name: String {
        guard let site = unsafe pointer else { return "no handler" }
        return unsafe "handler \"\(String(cString: site.pointee.handler))\", generation \(site.pointee.generation)"
    }
}

/// What a thread does for handlers, as another thread sees it.
public struct ThreadNote: Sendable {
    private let address: UInt

    /// A callback that was running when its thread was looked at.
    public struct Sighting {
        public let site: CrashSite
        public let callback: clinux_callback
        /// 0 when it is about none.
        public let connection: UInt64
        /// The last look saw it already.
        public let isSame: Bool

        public init(site: CrashSite, callback: clinux_callback, connection: UInt64, isSame: Bool) {
            (self.site, self.callback, self.connection, self.isSame) = (site, callback, connection, isSame)
        }
    }

    /// The note of the calling thread. It may be looked at while the thread lives.
    public static var own: ThreadNote { ThreadNote(address: UInt(bitPattern: unsafe clinux_own_note())) }

    /// The callback that runs there; nil when none does. One thread looks at a note.
    public func look() -> Sighting? {
        guard let note = unsafe UnsafeMutablePointer<clinux_crash_note>(bitPattern: address) else { return nil }
        let seen = unsafe clinux_look(note)
        guard let site = unsafe seen.site else { return nil }
        return unsafe Sighting(
            site: CrashSite(address: UInt(bitPattern: site)), callback: seen.callback, connection: seen.connection,
            isSame: seen.is_same != 0)
    }
}
