import GatewayIO
import Glibc
import HTTP
import Synchronization

extension Worker {
    /// So many peers a turn: a storm of them must not starve those who are here.
    private static let acceptsPerTurn = 64
    /// Peers that cannot be served and may be here until they have asked, to be told so.
    static let mostSurplus = 16
    /// How long such a peer may take to ask.
    private static let surplusPatience = TimerWheel.ticks(milliseconds: 2000)

    static let draining = ("draining", "the gateway is shutting down")
    static let tooMany = ("too-many-connections", "max_connections is reached")

    /// Nothing that is asked for now is served.
    var isEnding: Bool { isStopping || server.isDraining.load(ordering: .relaxed) }

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
        for entry in listeners.entries { ignore(entry) }
    }

    private func ignore(_ entry: Listeners.Entry) { try? poller.remove(entry.listener.number) }

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
                // The message that tells of it is on its way.
                if listeners.entries[index].isClosed { return ignore(listeners.entries[index]) }
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
        // Decided by the count that this peer made: others may come before it is taken in.
        let most = min(routing.maxConnections, server.descriptorRoom)
        let isDraining = server.isDraining.load(ordering: .relaxed)
        let isSurplus = isDraining || server.connections.add(1, ordering: .relaxed).newValue > most
        if isSurplus {
            if !isDraining { server.connections.subtract(1, ordering: .relaxed) }
            if server.surplus.add(1, ordering: .relaxed).newValue > Self.mostSurplus {
                server.surplus.subtract(1, ordering: .relaxed)
                return turnAway(socket, options)
            }
        }
        let target = server.leastLoaded(startingAt: port)
        target.load.add(1, ordering: .relaxed)
        if target === port {
            admit(socket, options, isSurplus: isSurplus)
        } else {
            target.post(.adopt(socket.release(), options, isSurplus: isSurplus))
        }
    }

    /// So many are being told already that this one hears it unasked, and is gone.
    private func turnAway(_ socket: consuming Socket, _ options: ListenerOptions) {
        // Behind a layer nothing can be said to a peer without its part in it.
        if options.makeLayer != nil { return }
        let (word, sentence) = isEnding ? Self.draining : Self.tooMany
        response.removeAll(keepingCapacity: true)
        let answer = PlainResponse(status: 503, word: word, sentence: sentence)
        answer.append(to: &response, at: Clock.wallSeconds(), &dates)
        // What has been asked is taken out: a socket that is closed with it unread resets, and takes the answer along.
        _ = unsafe socket.read(into: UnsafeMutableRawBufferPointer(rebasing: input[Self.margin...]))
        // A fresh socket takes it at once.
        _ = unsafe response.withUnsafeBytes { unsafe socket.write($0) }
        socket.finishSending()
    }

    /// Takes a peer in, which has been counted.
    func admit(_ socket: consuming Socket, _ options: ListenerOptions, isSurplus: Bool) {
        let number = socket.number
        socket.disableDelay()
        let transport = Transport(socket, layer: options.makeLayer.map { $0() })
        guard !isStopping, let peer = table.insert(transport, worker: port.index, now: now) else {
            uncount(isSurplus: isSurplus)
            return
        }
        if isSurplus { peer.pointee.flags.insert(.surplus) }
        do throws(Errno) {
            try poller.add(number, token: peer.pointee.token, interest: .readable)
        } catch {
            lose(peer, error)
            return
        }
        if options !== ListenerOptions.plain { peer.pointee.ownRareState.options = options }
        let patience = isSurplus ? min(routing.handshakeTimeout, Self.surplusPatience) : routing.handshakeTimeout
        peer.pointee.deadline = now + patience
        schedule(peer)
    }

    /// A peer has left, or was never taken in.
    func uncount(isSurplus: Bool) {
        port.load.subtract(1, ordering: .relaxed)
        if isSurplus {
            server.surplus.subtract(1, ordering: .relaxed)
        } else {
            server.connections.subtract(1, ordering: .relaxed)
        }
    }
}
