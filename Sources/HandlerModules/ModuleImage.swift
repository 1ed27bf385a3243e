import CGatewayABI
import Glibc

/// A module in memory, with its entry not called yet. It stays mapped until it is unloaded, usually for ever.
@safe struct ModuleImage {
    typealias Entry = @convention(c) (UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>?

    static let entryName = "gw_handler_entry_v1"

    private let entry: Entry
    /// Where the entry lies: the same address twice means the same image twice.
    let entryAddress: UInt
    /// What dlclose takes.
    let handle: ImageHandle

    /// Maps a staged file and runs its constructors; the error is the text of the dynamic linker. Control thread.
    ///
    /// NOW: a missing symbol shows here and not in the middle of a message. LOCAL: the functions of one generation must
    /// not answer for those of another. NODELETE when it `stays`: the Swift runtime keeps pointers into every image
    /// that it has seen, and Go's never ends. Never DEEPBIND, which splits the allocator in two under a sanitizer or a
    /// malloc of the user's choice.
    init(path: String, stays: Bool = true) throws(ModuleImageError) {
        guard let opened = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL | (stays ? RTLD_NODELETE : 0)) else {
            throw ModuleImageError(linkerText: Self.linkerError(path))
        }
        guard let symbol = unsafe dlsym(opened, Self.entryName) else {
            throw ModuleImageError(linkerText: Self.linkerError(path))
        }
        unsafe handle = ImageHandle(opened)
        entryAddress = UInt(bitPattern: symbol)
        unsafe entry = unsafe unsafeBitCast(symbol, to: Entry.self)
    }

    /// Calls the entry and reads the table it answers. [entry]
    func negotiate(_ host: UnsafePointer<gw_host>, _ note: FailureReason) throws(NegotiationError) -> HandlerTable {
        guard let pointer = unsafe entry(host) else {
            let why = note.take().map { "\"\($0)\"" } ?? "it gave no reason"
            throw NegotiationError(
                reason: "its entry declined: \(why)", remedy: "see what it says about itself")
        }
        do throws(HandlerTableError) {
            return try unsafe HandlerTable(reading: pointer)
        } catch {
            throw NegotiationError(reason: "its module cannot be used: \(error)", remedy: error.remedy)
        }
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

    var reason: String { "its module cannot be loaded: \(linkerText)" }
    var remedy: String { "link everything it needs, and look at its libraries" }
}

/// Why the entry of a module did not lead to a table.
struct NegotiationError: Error {
    let reason: String
    let remedy: String
}
