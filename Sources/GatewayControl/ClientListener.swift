import GatewayIO
import Glibc

/// A listener of the control thread, with a poller of its own, and the clients that have come in by it.
///
/// The owner registers one number, and calls when that is readable or `pausedUntil` has come. Nothing here blocks.
struct ClientListener<Client>: ~Copyable {
    /// How long no client is accepted after the descriptors ran out: the poller would report the same client for ever.
    private static var pause: UInt64 { 1_000_000_000 }
    private static var listenerToken: UInt64 { 0 }

    private final class Owned {
        let listener: Listener
        init(_ listener: consuming Listener) { self.listener = listener }
    }

    let poller: Poller
    /// By the tokens of their sockets in the poller.
    var clients: [UInt64: Client] = [:]
    /// Monotonic nanoseconds; nil while clients are accepted.
    private(set) var pausedUntil: UInt64?
    /// Where it listens, or did.
    let address: SocketAddress
    /// Nil once no new client is accepted.
    private var owned: Owned?
    private var nextToken: UInt64 = 1

    init(_ address: Listener.Address) throws(Errno) {
        let owned = Owned(try Listener(address))
        let poller = try Poller()
        try poller.add(owned.listener.number, token: Self.listenerToken, interest: .readable)
        (self.address, self.owned) = (owned.listener.address, owned)
        self.poller = poller
    }

    /// Accepts no new client, and removes the file of a socket that has one, so that another gateway can listen there.
    mutating func stopListening() { owned = nil }

    /// Another program of this gateway listens here from now on; clients that are here stay.
    ///
    /// - Returns: a descriptor for it; nil where nobody listens any more.
    mutating func giveAway() throws(Errno) -> FileDescriptor? {
        guard let owned else { return nil }
        let duplicate = try owned.listener.duplicate()
        owned.listener.giveAway()
        try? poller.remove(owned.listener.number)
        return duplicate
    }

    /// That program has gone.
    mutating func takeBack() throws(Errno) {
        guard let owned else { return }
        owned.listener.giveAway(false)
        pausedUntil = nil
        try poller.add(owned.listener.number, token: Self.listenerToken, interest: .readable)
    }

    /// How many descriptors have something to tell, the listener among them when it accepts again.
    mutating func wait(now: UInt64) throws(Errno) -> Int {
        if let until = pausedUntil, until <= now {
            pausedUntil = nil
            try listen(for: .readable)
        }
        return try poller.wait(milliseconds: 0)
    }

    /// The event tells of newcomers, and of no client.
    func isNewcomers(_ event: Poller.Event) -> Bool { event.token == Self.listenerToken }

    private func listen(for interest: Poller.Interest) throws(Errno) {
        guard let number = owned?.listener.number else { return }
        try poller.modify(number, token: Self.listenerToken, interest: interest)
    }

    /// The next one that waits to be let in; nil when nobody does, or there is no descriptor for it.
    mutating func next(now: UInt64) throws(Errno) -> Socket? {
        while let owned {
            switch owned.listener.accept() {
            case .socket(let socket): return socket
            case .lost: continue
            case .none: return nil
            case .exhausted:
                pausedUntil = now &+ Self.pause
                try listen(for: [])
                return nil
            }
        }
        return nil
    }

    /// Takes a client in; what it says is reported under its token.
    mutating func add(_ client: Client, number: Int32) throws(Errno) {
        try poller.add(number, token: nextToken, interest: .readable)
        clients[nextToken] = client
        nextToken += 1
    }

    /// False when the kernel has no memory for it: the client is to go, sees the end, and may ask again.
    func watch(_ number: Int32, _ token: UInt64, _ interest: Poller.Interest) -> Bool {
        do throws(Errno) {
            try poller.modify(number, token: token, interest: interest)
            return true
        } catch {
            return false
        }
    }
}
