import Glibc

/// Finds the file of a handler by its name in gateway.conf. No environment variable has a say in it.
///
/// Order: each folder of `plugins`, then the folder of the gateway's executable (where `swift build` puts modules); in
/// each `<name>.so` before `lib<name>.so`. The first one that exists is taken; if it cannot be trusted the search ends,
/// because a refused module must not be replaced silently by an older one further down the list.
package struct ModuleLocator: Sendable {
    /// Longest handler name; with a generation and a digest it must still fit into a file name.
    package static let longestName = 128

    /// Canonical folders in search order. A symbolic link may lead from one to another of them, or below, nowhere else.
    package let folders: [String]

    /// Folders that do not exist are left out; `executableFolder` is nil only where /proc is missing.
    package init(plugins: [String], executableFolder: String? = Self.executableFolder()) {
        var folders: [String] = []
        for folder in plugins + [executableFolder].compactMap({ $0 }) {
            if let canonical = try? Self.canonical(folder), !folders.contains(canonical) { folders.append(canonical) }
        }
        self.folders = folders
    }

    /// The folder of the running executable.
    package static func executableFolder() -> String? {
        (try? canonical("/proc/self/exe")).map { FileTrust.parent(of: $0) }
    }

    /// Finds and opens the module of a handler.
    package func find(_ handler: String) throws(ModuleError) -> ModuleFile {
        guard Self.isName(handler) else {
            throw ModuleError(
                handler: handler, stage: .locating, reason: "this is not a handler name",
                place: "Names have letters, digits, \"_\", \"-\", \".\", and begin with a letter or digit.",
                remedy: "correct the `handler` line in gateway.conf")
        }
        let candidates = places(of: handler)
        for candidate in candidates {
            let path: String
            do throws(SystemError) {
                path = try Self.canonical(candidate)
            } catch {
                if error.code == ENOENT || error.code == ENOTDIR { continue }
                throw refusal(handler, candidate, "cannot be opened (\(error))")
            }
            do throws(Objection) {
                return try open(path)
            } catch {
                throw refusal(handler, path == candidate ? path : "\(candidate) -> \(path)", error.text)
            }
        }
        throw ModuleError(
            handler: handler, stage: .locating, reason: "there is no module of this name",
            place: "Looked for: " + candidates.joined(separator: ", "),
            remedy: "build it (`swift build` puts lib\(handler).so beside the gateway) or put \(handler).so there")
    }

    /// The file that `find` would look at, without looking whether it can be trusted; nil when there is none.
    package func path(of handler: String) -> String? {
        guard Self.isName(handler) else { return nil }
        return places(of: handler).lazy.compactMap { try? Self.canonical($0) }.first
    }

    /// Which handlers a file of this name may be the module of: "libecho.so" that of "echo" and that of "libecho".
    package static func handlers(ofFile name: String) -> [String] {
        guard name.hasSuffix(".so") else { return [] }
        let stem = String(name.dropLast(3))
        let names = stem.hasPrefix("lib") ? [String(stem.dropFirst(3)), stem] : [stem]
        return names.filter { isName($0) }
    }

    /// Where a module may lie, in search order.
    private func places(of handler: String) -> [String] {
        folders.flatMap { ["\($0)/\(handler).so", "\($0)/lib\(handler).so"] }
    }

    private func open(_ path: String) throws(Objection) -> ModuleFile {
        guard folders.contains(where: { path.hasPrefix($0 == "/" ? $0 : $0 + "/") }) else {
            throw Objection("is a link that leads outside the folders of modules")
        }
        return try ModuleFile(trusting: path)
    }

    private func refusal(_ handler: String, _ path: String, _ reason: String) -> ModuleError {
        ModuleError(
            handler: handler, stage: .locating, reason: "its module \(reason)", place: "File: \(path)",
            remedy: "give file and folders to root or to the user of the gateway, writable by the owner alone")
    }

    /// Letters, digits and a few signs: nothing that could lead out of a folder or end a C string early.
    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= longestName else { return false }
        func isWordOctet(_ octet: UInt8) -> Bool {
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default:
                false
            }
        }
        let signs = [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: ".")]
        return isWordOctet(first) && name.utf8.allSatisfy { isWordOctet($0) || signs.contains($0) }
    }

    /// The absolute path without symbolic links.
    static func canonical(_ path: String) throws(SystemError) -> String {
        guard let resolved = unsafe realpath(path, nil) else { throw SystemError("realpath") }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }
}
