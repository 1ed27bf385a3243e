package import GatewayConfiguration
import GatewayIO
import Glibc

/// The user that the gateway becomes once it listens (`user`), and the groups of its sockets: names of the system.
package struct ServiceUser {
    /// Why a name cannot be used, or the change did not work.
    struct Trouble: Error, CustomStringConvertible {
        let description: String
    }

    let name: String
    let number: uid_t
    let group: gid_t

    init(_ name: String) throws(Trouble) {
        guard let entry = unsafe getpwnam(name) else { throw Trouble(description: "there is no user \"\(name)\"") }
        self.name = name
        (number, group) = unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
    }

    /// The number of a group.
    static func group(_ name: String) throws(Trouble) -> gid_t {
        guard let entry = unsafe getgrnam(name) else { throw Trouble(description: "there is no group \"\(name)\"") }
        return unsafe entry.pointee.gr_gid
    }

    /// Becomes the user, with his groups, for good; makes sure that there is no way back. Nothing happens where that is
    /// the user already.
    func become() throws(Trouble) {
        if getuid() == number, geteuid() == number { return }
        guard geteuid() == 0 else {
            throw Trouble(description: "cannot become user \"\(name)\": only root can become another user")
        }
        // Groups first: who is not root any more cannot change them.
        guard unsafe initgroups(name, group) == 0, setgid(group) == 0, setuid(number) == 0 else {
            throw Trouble(description: "cannot become user \"\(name)\": \(Errno.last)")
        }
        let isThere = getuid() == number && geteuid() == number && getgid() == group && getegid() == group
        let isBack = setuid(0) == 0 || seteuid(0) == 0 || (group != 0 && setgid(0) == 0)
        guard isThere, !isBack else {
            throw Trouble(description: "became user \"\(name)\", but could become root again")
        }
    }

    /// Gives a file that root has made for the gateway to the user.
    func own(_ path: String) throws(Trouble) {
        guard geteuid() != number else { return }
        guard unsafe lchown(path, number, group) == 0 else {
            throw Trouble(description: "cannot give \(path) to user \"\(name)\": \(Errno.last)")
        }
    }

    /// What a reload reads, and who one is by now cannot.
    static func unreadable(_ configuration: Configuration) -> [String] {
        let certificates = configuration.listeners.compactMap(\.tls).flatMap { tls in
            tls.certificates.flatMap { [$0.file] + [$0.keyFile].compactMap { $0 } }
                + [tls.clientAuthority?.file].compactMap { $0 }
        }
        return ([configuration.file] + certificates).filter { unsafe access($0, R_OK) != 0 }
    }

    /// What `gateway check` finds out about names: a text for each that the system does not know.
    package static func troubles(_ configuration: Configuration) -> [String] {
        var troubles: [String] = []
        do throws(Trouble) {
            if let name = configuration.user { _ = try ServiceUser(name) }
        } catch {
            troubles.append("\(configuration.origins["user"]?.description ?? "user"): error: \(error)")
        }
        for listener in configuration.listeners {
            do throws(Trouble) {
                if let name = listener.socketGroup { _ = try group(name) }
            } catch {
                troubles.append("\(listener.origin): error: \(error)")
            }
        }
        return troubles
    }
}
