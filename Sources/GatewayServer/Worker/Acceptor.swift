import GatewayHTTP2
import GatewayIO
import Glibc
import HTTP
import Synchronization

/// Takes in new peers: listens, spreads peers over the workers, and tells those that cannot be served so.
final class Acceptor {
    private var listeners: Listeners
    /// When to look at the listeners again after descriptors ran out; nil while they are watched.
    private(set) var listenAgainAt: UInt32?
    /// That descriptors ran out has been said, and no peer was accepted since.
    private var saidExhausted = false

    init(_ listeners: Listeners) { self.listeners = listeners }

    /// A port on which TLS is spoken; nil when there is none.
    var securePort: UInt16? {
        listeners.entries.first {
            $0.options.isSecure && !$0.options.takesProxyHeader && $0.listener.address.port != 0
        }?.listener.address.port
    }

    /// So many peers a turn: a storm of them must not starve those that are here.
    private static let acceptsPerTurn = 64
    /// Peers that cannot be served and may be here until they have asked, to be told so.
    static let mostSurplus = 16
    /// How long such a peer may take to ask.
    private static let surplusPatience = TimerWheel.ticks(milliseconds: 2000)

    func watchListeners(on worker: Worker) throws(Errno) {
        for (index, entry) in listeners.entries.enumerated() {
            try worker.poller.add(
                entry.listener.number, token: UInt64(Worker.Special.firstListener + UInt32(index)),
                interest: [.readable, .exclusive])
        }
        listenAgainAt = nil
    }

    /// Accepts nothing any more.
    func stop(on worker: Worker) {
        ignoreListeners(on: worker)
        listenAgainAt = nil
    }

    /// Goes back to the listeners when it is time.
    func listenAgain(on worker: Worker) {
        if let again = listenAgainAt, worker.now >= again { resumeListening(on: worker) }
    }

    /// Leaves new peers to the backlog, or to other workers.
    func ignoreListeners(on worker: Worker) {
        for entry in listeners.entries { ignore(entry, on: worker) }
    }

    private func ignore(_ entry: Listeners.Entry, on worker: Worker) {
        try? worker.poller.remove(entry.listener.number)
    }

    /// Lets go of listeners that are gone and takes in new ones; those that stay keep the peers that wait in them.
    func changeListeners(to next: Listeners, on worker: Worker) {
        ignoreListeners(on: worker)
        listeners = next
        if !worker.isStopping { resumeListening(on: worker) }
    }

    func acceptPeers(_ index: Int, on worker: Worker) {
        guard !worker.isStopping, index < listeners.entries.count else { return }
        let options = listeners.entries[index].options
        for _ in 0..<Self.acceptsPerTurn {
            switch listeners.entries[index].listener.accept() {
            case .socket(let socket):
                saidExhausted = false
                place(socket, options, on: worker)
            case .none: return
            case .lost: continue
            case .exhausted(let error):
                // The message that tells of it is on its way.
                if listeners.entries[index].isClosed { return ignore(listeners.entries[index], on: worker) }
                pauseListening(error, on: worker)
                return
            }
        }
    }

    /// Descriptors or memory ran out. Level-triggered waiting would spin on the listener, so it is left alone for a
    /// while; peers that wait in the backlog are served when descriptors have come back.
    private func pauseListening(_ error: Errno, on worker: Worker) {
        if !saidExhausted {
            saidExhausted = true
            worker.server.log.warn("cannot accept: \(error); new peers wait, those connected are served")
        }
        ignoreListeners(on: worker)
        listenAgainAt = worker.now + TimerWheel.ticks(milliseconds: 100)
    }

    func resumeListening(on worker: Worker) {
        guard !worker.isStopping else {
            listenAgainAt = nil
            return
        }
        do throws(Errno) {
            try watchListeners(on: worker)
        } catch {
            listenAgainAt = worker.now + TimerWheel.ticks(milliseconds: 100)
            ignoreListeners(on: worker)
        }
    }

    /// Gives a new peer to the worker that has fewest: long-lived connections make an uneven start last.
    private func place(_ socket: consuming Socket, _ options: ListenerOptions, on worker: Worker) {
        if options.takesProxyHeader {
            // A peer that has left already is no news.
            guard let peer = socket.peerAddress else { return }
            guard worker.routing.proxies.contains(peer) else {
                return complain(
                    "proxy-not-trusted",
                    "\(peer) is none of trusted_proxies, and so may not connect with proxy_protocol", on: worker)
            }
        }
        let most = min(worker.routing.maxConnections, worker.server.descriptorRoom)
        guard let isSurplus = count(atMost: most, on: worker) else { return turnAway(socket, options, on: worker) }
        let target = worker.server.leastLoaded(startingAt: worker.port)
        target.load.add(1, ordering: .relaxed)
        if target === worker.port {
            admit(socket, options, isSurplus: isSurplus, on: worker)
        } else {
            target.post(.adopt(socket.release(), options, isSurplus: isSurplus))
        }
    }

    /// Counts a new peer.
    ///
    /// - Returns: whether it is one too many and only here to be told so; nil when not even that is possible.
    private func count(atMost most: Int, on worker: Worker) -> Bool? {
        // Decided by the count that this peer made: others may come before it is taken in.
        let isDraining = worker.server.isDraining.load(ordering: .relaxed)
        let isSurplus = isDraining || worker.server.connections.add(1, ordering: .relaxed).newValue > most
        guard isSurplus else { return false }
        if !isDraining { worker.server.connections.subtract(1, ordering: .relaxed) }
        if worker.server.surplus.add(1, ordering: .relaxed).newValue > Self.mostSurplus {
            worker.server.surplus.subtract(1, ordering: .relaxed)
            return nil
        }
        return true
    }

    /// So many are being told already that this one hears it unasked, and is gone.
    private func turnAway(_ socket: consuming Socket, _ options: ListenerOptions, on worker: Worker) {
        let rejection: Rejection = worker.isEnding ? .draining : .tooManyConnections
        if options.answersAtOnce { return worker.responder.reject(socket, rejection, on: worker) }
        // Behind a layer no HTTP can be said to a peer without its part in it.
        worker.responder.reject(socket, rejection, saying: options.refusal, on: worker)
    }

    /// A peer is being closed; where that is for the want of a PROXY header, it is counted and said.
    func noteMissingHeader(_ peer: ConnectionPointer, on worker: Worker) -> Bool {
        guard let options = peer.pointee.rareState?.options, options.takesProxyHeader,
            peer.pointee.transport.lacksHeader
        else { return false }
        let reason = peer.pointee.transport.failure ?? "there is no PROXY header in front"
        let address = peer.pointee.transport.peerAddress?.description ?? "a peer that has left"
        complain("no-proxy-header", "\(address) is closed: \(reason)", on: worker)
        return true
    }

    private func complain(_ word: String, _ text: String, on worker: Worker) {
        worker.server.rejections.note(word)
        guard let skipped = worker.server.proxyFailures.admit(at: worker.nowNanoseconds) else { return }
        worker.server.log.warn("\(word): \(text)" + (skipped > 0 ? " (\(skipped) more like this were not logged)" : ""))
    }

    /// Takes a peer in, which has been counted.
    func admit(_ socket: consuming Socket, _ options: ListenerOptions, isSurplus: Bool, on worker: Worker) {
        socket.disableDelay()
        let layer = options.makeLayer?()
        guard options.makeLayer == nil || layer != nil else {
            worker.server.log.debug("no memory for a TLS session: a new peer was dropped")
            return uncount(isSurplus: isSurplus, on: worker)
        }
        _ = admit(Transport(socket, layer: layer), options, isSurplus: isSurplus, on: worker)
    }

    /// The same for whatever it is that the peer's bytes go through.
    ///
    /// - Returns: the number of the connection; nil when there is no room for it.
    func admit(
        _ transport: consuming Transport, _ options: ListenerOptions, isSurplus: Bool, on worker: Worker
    ) -> ConnectionID? {
        let number = transport.number
        guard !worker.isStopping, let peer = worker.table.insert(transport, worker: worker.port.index, now: worker.now)
        else {
            uncount(isSurplus: isSurplus, on: worker)
            return nil
        }
        if isSurplus { peer.pointee.flags.insert(.surplus) }
        do throws(Errno) {
            if number >= 0 { try worker.poller.add(number, token: peer.pointee.token, interest: .readable) }
        } catch {
            worker.closer.lose(peer, error, on: worker)
            return nil
        }
        if options !== ListenerOptions.plain {
            peer.pointee.ownRareState.options = options
            if let limit = options.handshakes {
                peer.pointee.transport.give(HandshakeTurns.Leave(peer.pointee.id, limit, on: worker))
            }
        }
        awaitRequest(peer, on: worker)
        return peer.pointee.id
    }

    private func awaitRequest(_ peer: ConnectionPointer, on worker: Worker) {
        let patience =
            peer.pointee.flags.contains(.surplus)
            ? min(worker.routing.handshakeTimeout, Self.surplusPatience) : worker.routing.handshakeTimeout
        peer.pointee.deadline = worker.now + patience
        worker.timers.schedule(peer, on: worker)
    }

    /// Takes in a stream of a connection of HTTP/2; it counts as a connection of its own.
    ///
    /// - Returns: nil when there is no room for it.
    func admit(_ stream: HTTP2Stream, of underneath: ConnectionPointer, on worker: Worker) -> ConnectionPointer? {
        guard !worker.isStopping, let isSurplus = count(atMost: worker.routing.maxConnections, on: worker) else {
            return nil
        }
        worker.port.load.add(1, ordering: .relaxed)
        let transport = Transport(stream: stream)
        guard let peer = worker.table.insert(transport, worker: worker.port.index, now: worker.now) else {
            uncount(isSurplus: isSurplus, on: worker)
            return nil
        }
        if isSurplus { peer.pointee.flags.insert(.surplus) }
        let rareState = peer.pointee.ownRareState
        rareState.stream = stream
        rareState.options = underneath.pointee.rareState?.options ?? ListenerOptions.plain
        awaitRequest(peer, on: worker)
        return peer
    }

    /// A peer has left, or was never taken in.
    func uncount(isSurplus: Bool, on worker: Worker) {
        worker.port.load.subtract(1, ordering: .relaxed)
        if isSurplus {
            worker.server.surplus.subtract(1, ordering: .relaxed)
        } else {
            worker.server.connections.subtract(1, ordering: .relaxed)
        }
    }
}
