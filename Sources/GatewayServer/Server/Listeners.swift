import GatewayConfiguration
import GatewayControl
import GatewayIO
import GatewayTLS
import Synchronization

/// The listening sockets, shared by all workers; accepting is the kernel's affair and needs no lock.
final class Listeners: Sendable {
    /// A listener in an array of owners.
    final class Entry: Sendable {
        let listener: Listener
        /// What the configuration says of it, port 0 staying 0; nil for the control socket.
        let configured: ListenerConfiguration?
        /// What the service manager that opened the socket calls it; nil where the gateway opened it.
        let inheritedName: String?
        private let current: Mutex<ListenerOptions>
        private let closed = Atomic(false)

        init(
            _ listener: consuming Listener, configured: ListenerConfiguration? = nil, options: ListenerOptions = .plain,
            inheritedName: String? = nil
        ) {
            self.listener = listener
            self.configured = configured
            self.inheritedName = inheritedName
            current = Mutex(options)
        }

        /// Where it listens, for people.
        var description: String {
            listener.address.description + (inheritedName.map { " (handed over as \"\($0)\")" } ?? "")
        }

        /// What is true of every connection that is accepted here from now on.
        var options: ListenerOptions {
            get { current.withLock { $0 } }
            set { current.withLock { $0 = newValue } }
        }

        /// Refuses new peers from now on. Workers that have not let go of it yet find out.
        func close() {
            closed.store(true, ordering: .releasing)
            listener.close()
        }

        var isClosed: Bool { closed.load(ordering: .acquiring) }
    }

    let entries: [Entry]

    init(_ entries: [Entry]) { self.entries = entries }

    /// What TLS clients are shown: each certificate once, with the listeners that show it.
    static func certificates(_ entries: [Entry]) -> [StatusReport.Certificate] {
        var found: [StatusReport.Certificate] = []
        for entry in entries where !entry.isClosed {
            for certificate in entry.options.certificates?.context.certificates ?? [] {
                let address = entry.listener.address.description
                if let known = found.firstIndex(where: { $0.file == certificate.file }) {
                    found[known].listeners.append(address)
                } else {
                    found.append(
                        .init(
                            name: certificate.name, file: certificate.file, listeners: [address],
                            expiresAt: certificate.expiresAt))
                }
            }
        }
        return found
    }
}

extension Listener.Address {
    init(_ listener: ListenerConfiguration) throws(ServiceUser.Trouble) {
        switch listener.address {
        case .any(let port): self = .any(port: port)
        case .ipv4(let bytes, let port): self = .ipv4(bytes, port: port)
        case .ipv6(let bytes, let port): self = .ipv6(bytes, port: port)
        case .unix(let path):
            let group = try listener.socketGroup.map { name throws(ServiceUser.Trouble) in
                try ServiceUser.group(name)
            }
            // A group that may not connect would be of no use.
            let mode = listener.socketMode ?? (group == nil ? nil : 0o660)
            self = .unix(path: path, mode: mode.map { UInt32($0) }, group: group)
        case .descriptor(let number): self = .inherited(number)
        }
    }
}
