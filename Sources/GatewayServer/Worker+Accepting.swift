import GatewayIO
import Glibc
import Synchronization

extension Worker {
    /// So many peers a turn: a storm of them must not starve those who are here.
    private static let acceptsPerTurn = 64
    /// Peers beyond `max_connections` that may be here to be told so.
    private static let surplusMargin = 64

    func watchListeners() throws(Errno) {
        for (index, entry) in listeners.entries.enumerated() {
            try poller.add(
                entry.listener.number, token: UInt64(Special.firstListener + UInt32(index)),
                interest: [.readable, .exclusive])
        }
        listenAgainAt = nil
    }

    /// Leaves new peers to the backlog, or to other workers.
    func ignoreListeners() {
        for entry in listeners.entries { try? poller.remove(entry.listener.number) }
    }

    /// Lets go of listeners that are gone and takes in new ones; those that stay keep who waits in them.
    func changeListeners(to next: Listeners) {
        ignoreListeners()
        listeners = next
        if !isStopping { resumeListening() }
    }

    func acceptPeers(_ index: Int) {
        guard !isStopping, index < listeners.entries.count else { return }
        for _ in 0..<Self.acceptsPerTurn {
            switch listeners.entries[index].listener.accept() {
            case .socket(let socket):
                saidExhausted = false
                place(socket, listeners.entries[index].options)
            case .none: return
            case .lost: continue
            case .exhausted(let error):
                pauseListening(error)
                return
            }
        }
    }

    /// Descriptors or memory ran out. Level-triggered waiting would spin on the listener, so it is left alone for
    /// a while; those who wait in the backlog are served when descriptors have come back.
    private func pauseListening(_ error: Errno) {
        if !saidExhausted {
            saidExhausted = true
            server.log.warn("cannot accept: \(error); new peers wait, those connected are served")
        }
        ignoreListeners()
        listenAgainAt = now + TimerWheel.ticks(milliseconds: 100)
    }

    func resumeListening() {
        guard !isStopping else {
            listenAgainAt = nil
            return
        }
        do throws(Errno) {
            try watchListeners()
        } catch {
            listenAgainAt = now + TimerWheel.ticks(milliseconds: 100)
            ignoreListeners()
        }
    }

    /// Gives a new peer to the worker that has fewest: long-lived connections make an uneven start last.
    private func place(_ socket: consuming Socket, _ options: ListenerOptions) {
        let total = server.connections.add(1, ordering: .relaxed).newValue
        if total > routing.maxConnections + Self.surplusMargin {
            server.connections.subtract(1, ordering: .relaxed)
            return
        }
        let target = server.leastLoaded(startingAt: port)
        target.load.add(1, ordering: .relaxed)
        // Decided by the count that this peer made: others may come before it is taken in.
        let isSurplus = total > routing.maxConnections
        if target === port {
            admit(socket, options, isSurplus: isSurplus)
        } else {
            target.post(.adopt(socket.release(), options, isSurplus: isSurplus))
        }
    }

    /// Takes a peer in, which has been counted.
    func admit(_ socket: consuming Socket, _ options: ListenerOptions, isSurplus: Bool) {
        let number = socket.number
        socket.disableDelay()
        let transport = Transport(socket, layer: options.makeLayer.map { $0() })
        guard !isStopping, let peer = table.insert(transport, worker: port.index, now: now) else {
            port.load.subtract(1, ordering: .relaxed)
            server.connections.subtract(1, ordering: .relaxed)
            return
        }
        do throws(Errno) {
            try poller.add(number, token: peer.its.token, interest: .readable)
        } catch {
            lose(peer, error)
            return
        }
        if isSurplus { peer.its.flags.insert(.surplus) }
        if options !== ListenerOptions.plain { peer.its.itsBelongings.options = options }
        peer.its.deadline = now + routing.handshakeTimeout
        schedule(peer)
    }
}
