package import Glibc

/// What speaks against a file, as the predicate of a sentence.
struct Objection: Error {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    /// Runs what can fail in the system, and makes an objection of the failure.
    static func explaining<Value: ~Copyable>(
        _ body: () throws(SystemError) -> Value
    ) throws(Objection) -> Value {
        do throws(SystemError) {
            return try body()
        } catch {
            throw Objection("cannot be opened (\(error))")
        }
    }
}

/// Who may change a module, or what leads to it: loading it hands the process over to them.
package enum FileTrust {
    /// What stands at one place on the way from the root to the module.
    package enum Place {
        case module
        /// The folder the module lies in.
        case folder
        /// A folder further up.
        case parent
    }

    /// Why the owner or the mode forbids to load from there; nil when nothing does.
    package static func objection(
        to place: Place, mode: mode_t, owner: uid_t, group: gid_t, user: uid_t
    ) -> String? {
        guard owner == 0 || owner == user else {
            return "belongs to user \(owner), who is neither root nor user \(user) of the gateway"
        }
        // Whoever can write to a sticky folder can add to it, but rename and remove only what is theirs. So /tmp may
        // stand above a module, because the next folder down was just found to be ours. It may not hold the module
        // itself: that folder is searched by name, and others could add names.
        if place == .parent && mode & S_ISVTX != 0 { return nil }
        if mode & S_IWOTH != 0 { return "can be written by every user (mode \(octal(mode)))" }
        // Where each user has a private group of the same number, umask 002 is the custom and the group is the owner.
        if mode & S_IWGRP != 0 && group != owner {
            return "can be written by group \(group) (mode \(octal(mode)))"
        }
        return nil
    }

    /// Looks at every folder above an absolute canonical path; `nearest` is what the lowest of them is judged as.
    static func check(foldersAbove path: String, nearest: Place = .folder) throws(Objection) {
        var place = nearest
        var folder = path
        while folder != "/" {
            folder = parent(of: folder)
            var status = stat()
            guard unsafe lstat(folder, &status) == 0 else {
                throw Objection("cannot be trusted: \(SystemError("lstat")) (\(folder))")
            }
            guard status.st_mode & S_IFMT == S_IFDIR else {
                throw Objection("cannot be trusted: \(folder) is not a folder any more")
            }
            if let objection = objection(to: place, status) {
                throw Objection("cannot be trusted: \(folder) \(objection)")
            }
            place = .parent
        }
    }

    static func objection(to place: Place, _ status: stat) -> String? {
        objection(
            to: place, mode: status.st_mode, owner: status.st_uid, group: status.st_gid, user: geteuid())
    }

    /// The folder that holds an absolute path; "/" holds itself.
    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    private static func octal(_ mode: mode_t) -> String {
        "0" + String(mode & 0o7777, radix: 8)
    }
}
