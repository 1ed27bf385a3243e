import Glibc

/// Finds the file of a handler by its name in gateway.conf. No environment variable has a say in it.
///
/// Order: each folder of `plugins`, then the folder of the gateway's executable (where `swift build` puts modules); in
/// each `<name>.so` before `lib<name>.so`. The first one that exists is taken; if it cannot be trusted the search ends,
/// because a refused module must not be replaced silently by an older one further down the list.
///
/// Folders and files may be symbolic links, wherever they lead: the way is walked anew at each look, and trusted when
/// every link, every folder and the file belong to root or to us and no other user can write to them.
package struct ModuleLocator: Sendable {
    /// Longest handler name; with a generation and a digest it must still fit into a file name.
    package static let longestName = 128

    /// Folders in search order, absolute; links in them are resolved at each look.
    package let folders: [String]

    /// `executableFolder` is nil only where /proc is missing.
    package init(plugins: [String], executableFolder: String? = Self.executableFolder()) {
        var folders: [String] = []
        for folder in plugins + [executableFolder].compactMap({ $0 }) {
            let absolute = Self.trimmed(PathWalk.absolute(folder))
            if !folders.contains(absolute) { folders.append(absolute) }
        }
        self.folders = folders
    }

    /// The folder that the running executable came from, also where its name is another one's by now.
    package static func executableFolder() -> String? {
        let path = OwnProgram.path
        if path.isEmpty { return nil }
        return try? canonical(FileTrust.parent(of: path))
    }

    /// Finds and opens the module of a handler.
    ///
    /// `home` is the folder it was found in before: what lies in folders behind it belongs to other handlers.
    package func find(_ handler: String, home: String? = nil) throws(ModuleError) -> ModuleFile {
        guard Self.isName(handler) else {
            throw ModuleError(
                handler: handler, stage: .locating, reason: "this is not a handler name",
                place: "Names have letters, digits, \"_\", \"-\", \".\", and begin with a letter or digit.",
                remedy: "correct the `handler` line in gateway.conf")
        }
        for (folder, place) in places(of: handler, home: home) {
            let walk = PathWalk(place)
            guard Self.isSomethingThere(walk) else { continue }
            do throws(Objection) {
                return try ModuleFile(walk: walk, place, folder: folder)
            } catch {
                let end = walk.hops.last?.path ?? place
                throw ModuleError(
                    handler: handler, stage: .locating, reason: "its module \(error.text)",
                    place: "File: \(end == place ? place : "\(place) -> \(end)")", remedy: error.remedy)
            }
        }
        throw missing(handler, home: home)
    }

    /// What is seen of the file that `find` would take or refuse; nil when there is none.
    package func look(_ handler: String, home: String? = nil) -> FileFingerprint? {
        place(of: handler, home: home).map { FileFingerprint(whatever: $0) }
    }

    /// The file that `find` would look at, without looking whether it can be trusted; nil when there is none.
    package func path(of handler: String, home: String? = nil) -> String? {
        place(of: handler, home: home).map { PathWalk($0).end?.path ?? $0 }
    }

    private func place(of handler: String, home: String?) -> String? {
        guard Self.isName(handler) else { return nil }
        return places(of: handler, home: home).lazy.map(\.path).first { Self.isSomethingThere(PathWalk($0)) }
    }

    /// Whether a name stands in its folder, be it a link that leads nowhere, or cannot be seen there.
    private static func isSomethingThere(_ walk: borrowing PathWalk) -> Bool {
        switch walk.failure?.code {
        case nil: true
        case ENOENT, ENOTDIR: walk.hops.contains { $0.isLast && $0.kind != .missing }
        default: true
        }
    }

    private func missing(_ handler: String, home: String?) -> ModuleError {
        let looked = "Looked for: " + places(of: handler, home: home).map(\.path).joined(separator: ", ")
        let elsewhere = home == nil ? nil : path(of: handler)
        return ModuleError(
            handler: handler, stage: .locating,
            reason: home == nil ? "there is no module of this name" : "its file is gone",
            place: looked + (elsewhere.map { ". A file of this name in a later folder is not taken: \($0)" } ?? ""),
            remedy: elsewhere == nil
                ? "build it (`swift build` puts lib\(handler).so beside the gateway) or put \(handler).so there"
                : "put \(handler).so there again, or start the gateway anew to have the other one")
    }

    /// Which handlers a file of this name may be the module of: "libecho.so" that of "echo" and that of "libecho".
    package static func handlers(ofFile name: String) -> [String] {
        guard name.hasSuffix(".so") else { return [] }
        let stem = String(name.dropLast(3))
        let names = stem.hasPrefix("lib") ? [String(stem.dropFirst(3)), stem] : [stem]
        return names.filter { isName($0) }
    }

    /// Where a module may lie, in search order; nothing behind `home`.
    private func places(of handler: String, home: String?) -> [(folder: String, path: String)] {
        let last = home.flatMap { folders.firstIndex(of: $0) } ?? folders.count - 1
        return folders.prefix(last + 1).flatMap { folder in
            let prefix = folder == "/" ? folder : folder + "/"
            return [(folder, "\(prefix)\(handler).so"), (folder, "\(prefix)lib\(handler).so")]
        }
    }

    /// Letters, digits and a few signs: nothing that could lead out of a folder or end a C string early.
    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= longestName else { return false }
        func isWordByte(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default:
                false
            }
        }
        let signs = [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ".")]
        return isWordByte(first) && name.utf8.allSatisfy { isWordByte($0) || signs.contains($0) }
    }

    private static func trimmed(_ path: String) -> String {
        var path = path[...]
        while path.utf8.count > 1 && path.hasSuffix("/") { path = path.dropLast() }
        return String(path)
    }

    /// The absolute path without symbolic links.
    static func canonical(_ path: String) throws(SystemError) -> String {
        guard let resolved = unsafe realpath(path, nil) else { throw SystemError("realpath") }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }
}
