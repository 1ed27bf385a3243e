import GatewayConfiguration
import GatewayIO

/// The sockets that a service manager opened before it started the gateway (LISTEN_FDS), for the `listen` lines of the
/// same address. It belongs to the control thread.
///
/// A line gets a duplicate, and the descriptor itself stays here: the manager keeps the address anyway, so a line that a
/// reload takes away and another brings back has to find the socket again.
final class InheritedSockets {
    private struct Entry {
        let socket: InheritedSocket
        /// As the manager calls it.
        let name: String
        var isTaken = false
    }

    private var entries: [Entry]

    init(_ descriptors: [ServiceEnvironment.Descriptor]) {
        entries = descriptors.map { Entry(socket: InheritedSocket($0.number), name: $0.name) }
    }

    /// Another one, which another program of this gateway has had from the manager.
    func add(_ number: Int32, name: String) { entries.append(Entry(socket: InheritedSocket(number), name: name)) }

    /// Descriptors of all of them that have no other owner, for another program of this gateway.
    func duplicates() -> [(number: Int32, name: String)] {
        entries.compactMap { entry in (try? entry.socket.duplicate()).map { ($0, entry.name) } }
    }

    /// What a `listen` line is given.
    struct Taken {
        /// A descriptor that has no other owner.
        let number: Int32
        let name: String
    }

    /// The socket for an address; nil where none was handed over.
    func take(_ address: ListenAddress) throws(Errno) -> Taken? {
        guard let index = entries.firstIndex(where: { Self.fits($0.socket, address) }) else { return nil }
        entries[index].isTaken = true
        return Taken(number: try entries[index].socket.duplicate(), name: entries[index].name)
    }

    private static func fits(_ socket: InheritedSocket, _ address: ListenAddress) -> Bool {
        guard let known = socket.address else { return false }
        switch address {
        case .descriptor(let number): return socket.number == number
        case .unix(let path): return known.isUnix && known.host == path
        case .any(let port):
            // 0.0.0.0 is all that a machine without IPv6 has, and nobody else can listen on the port beside it.
            return port != 0 && known.port == port && (socket.isDualStack || known.host == "0.0.0.0")
        case .ipv4, .ipv6:
            return address.port != 0 && !known.isUnix && known.description == address.description
        }
    }

    /// Closes what no line has asked for: clients would connect to it, and wait for ever.
    ///
    /// - Returns: a warning for each.
    func closeOthers() -> [String] {
        let others = entries.filter { !$0.isTaken }
        entries.removeAll { !$0.isTaken }
        return others.map { entry in
            entry.socket.close()
            let what = entry.socket.address.map { "the socket \($0)" } ?? "what is no listening stream socket"
            return
                "descriptor \(entry.socket.number) of the service manager (\"\(entry.name)\") was closed: no \"listen\""
                + " line is for \(what)"
        }
    }
}
