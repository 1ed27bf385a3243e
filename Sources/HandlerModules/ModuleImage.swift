import CGatewayABI
import Glibc

/// A module in memory, with its entry not called yet. It stays mapped as long as the process lives.
@safe struct ModuleImage {
    typealias Entry = @convention(c) (UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>?

    static let entryName = "gw_handler_entry_v1"

    private let entry: Entry
    /// Where the entry lies: the same address twice means the same image twice.
    let entryAddress: UInt

    /// Maps a staged file and runs its constructors; the error is the text of the dynamic linker. Control thread.
    ///
    /// NOW: a missing symbol shows here and not in the middle of a message. LOCAL: the functions of one generation must
    /// not answer for those of another. NODELETE: the Swift runtime keeps pointers into every image that it has seen.
    /// Never DEEPBIND, which splits the allocator in two under a sanitizer or a malloc of the user's choice.
    init(path: String) throws(ModuleImageError) {
        guard let handle = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
            throw ModuleImageError(linkerText: Self.linkerError(path))
        }
        // The handle is never closed: nothing is ever unmapped.
        guard let symbol = unsafe dlsym(handle, Self.entryName) else {
            throw ModuleImageError(linkerText: Self.linkerError(path))
        }
        entryAddress = UInt(bitPattern: symbol)
        unsafe entry = unsafe unsafeBitCast(symbol, to: Entry.self)
    }

    /// Calls the entry: nil when the handler declined. [entry]
    func callEntry(_ host: UnsafePointer<gw_host>) -> UnsafePointer<gw_handler>? {
        unsafe entry(host)
    }

    /// What the linker says, without the path that it begins with.
    private static func linkerError(_ path: String) -> String {
        guard let text = unsafe dlerror() else { return "no reason given" }
        let said = unsafe String(cString: text)
        return said.hasPrefix(path + ": ") ? String(said.dropFirst(path.utf8.count + 2)) : said
    }
}

/// What the dynamic linker said.
struct ModuleImageError: Error {
    let linkerText: String
}
