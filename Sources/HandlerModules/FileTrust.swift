package import Glibc

/// What speaks against a file, as the predicate of a sentence, and what to do about it.
struct Objection: Error {
    /// What mends owner and mode.
    static let ownership =
        "give file, links and folders to root or to the user of the gateway, writable by the owner alone"

    let text: String
    let remedy: String

    init(_ text: String, remedy: String = Self.ownership) {
        self.text = text
        self.remedy = remedy
    }

    init(_ error: SystemError, at path: String) {
        self.init("cannot be opened (\(error))", remedy: "see what is on the way there with `namei -l \(path)`")
    }
}

/// The users that may change a module, or what leads to it: loading it hands the process over to them.
package enum FileTrust {
    /// What stands at one place on the way from the root to the module.
    package enum Place {
        case module
        /// The folder the module lies in.
        case folder
        /// A folder further up.
        case parent
        /// A symbolic link on the way; its owner says where the way leads.
        case link
    }

    /// Why the owner or the mode forbids to load from there; nil when nothing does.
    package static func objection(
        to place: Place, mode: mode_t, owner: uid_t, group: gid_t, user: uid_t
    ) -> String? {
        guard owner == 0 || owner == user else {
            return "belongs to user \(owner), who is neither root nor user \(user) of the gateway"
        }
        // A user who can write to a sticky folder can add to it, but rename and remove only own files. So /tmp may
        // stand above a module, because the next folder down was just found to be ours. It may not hold the module
        // itself: that folder is searched by name, and others could add names.
        if place == .parent && mode & S_ISVTX != 0 { return nil }
        // The mode of a link means nothing: it is never written to, only replaced by a user who can write to its
        // folder.
        if place == .link { return nil }
        if mode & S_IWOTH != 0 { return "can be written by every user (mode \(octal(mode)))" }
        // Where each user has a private group of the same number, umask 002 is the custom and the group is the owner.
        if mode & S_IWGRP != 0 && group != owner {
            return "can be written by group \(group) (mode \(octal(mode)))"
        }
        return nil
    }

    /// Looks at every folder and link on the way to the end of a path, the end itself excepted.
    ///
    /// `holder` is what the folders are judged as that hold the end, or a link in its place.
    static func check(_ walk: borrowing PathWalk, holder: Place = .folder) throws(Objection) {
        let holders = Set(walk.hops.filter { $0.isLast && $0.kind != .folder }.compactMap(\.holder))
        for (index, hop) in walk.hops.enumerated() {
            let place: Place
            let title: String
            switch hop.kind {
            case .folder: (place, title) = (holders.contains(index) ? holder : .parent, hop.path)
            case .link: (place, title) = (.link, "the link \(hop.path)")
            case .end, .missing: continue
            }
            if let objection = objection(to: place, hop.status) {
                throw Objection("cannot be trusted: \(title) \(objection)")
            }
        }
    }

    static func objection(to place: Place, _ status: PathWalk.Status) -> String? {
        objection(to: place, mode: status.mode, owner: status.owner, group: status.group, user: geteuid())
    }

    /// Why a file is no program that may be started in the place of the gateway, as the predicate of a sentence; nil when it
    /// may. It is judged as modules are, but for its folder, which nobody searches for names.
    package static func objection(toProgram path: String) -> String? {
        let walk = PathWalk(path)
        do throws(Objection) {
            try check(walk, holder: .parent)
        } catch {
            return "\(error.text); \(error.remedy)"
        }
        guard let end = walk.end else {
            return "cannot be opened (\(walk.failure ?? SystemError("open", code: ENOENT)))"
        }
        guard end.status.mode & S_IFMT == S_IFREG else { return "is not a regular file" }
        if let objection = objection(to: .module, end.status) {
            return "cannot be trusted: it \(objection); \(Objection.ownership)"
        }
        return unsafe access(path, X_OK) == 0 ? nil : "cannot be executed (\(SystemError("access")))"
    }

    /// The same of a file that has been such a program, and is open: what speaks for itself, whatever its names are by now.
    package static func objection(toOpenProgram descriptor: Int32) -> String? {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return "cannot be looked at (\(SystemError("fstat")))" }
        let objection = objection(
            to: .module, mode: status.st_mode, owner: status.st_uid, group: status.st_gid, user: geteuid())
        return objection.map { "cannot be trusted: it \($0); \(Objection.ownership)" }
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
