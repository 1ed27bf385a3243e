import GatewayIO

/// The listening sockets, shared by all workers; accepting is the kernel's affair and needs no lock.
final class Listeners: Sendable {
    /// A listener in an array of owners.
    final class Entry: Sendable {
        let listener: Listener
        init(_ listener: consuming Listener) { self.listener = listener }
    }

    let entries: [Entry]

    init(_ entries: [Entry]) { self.entries = entries }
}
