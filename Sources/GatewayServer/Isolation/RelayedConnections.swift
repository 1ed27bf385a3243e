import Bytes
import GatewayHTTP2
import GatewayIO
import HTTP

/// Connections of isolated handlers whose sockets cannot be given away, since there is TLS on them or they are streams of
/// HTTP/2: the process gets one end of a pair in place of the socket, as if of a peer that speaks plain HTTP/1.1, and what goes
/// through the pair is copied here. The worker's own.
///
///     away ─begin─▶ relayed ─the process has let go of it, and all that it said is out─▶ ending
///                      │ the way to the peer breaks
///                      └─▶ cut off ─the process has let go of it─▶ gone
final class RelayedConnections {
    /// At most so many bytes of each direction wait here.
    static let room = 64 * 1024

    // MARK: The beginning

    /// From here on the connection, which is away, is relayed. What has come of it so far goes with its record.
    ///
    /// - Returns: a descriptor, of which the process of the handler is given a copy; it stays the relay's.
    func begin(_ peer: ConnectionPointer, on worker: Worker) throws(Errno) -> Int32 {
        let relay = try Relay()
        if peer.pointee.rareState?.stream != nil { relay.answer = RelayedAnswer() }
        try relay.watch(.readable, as: token(peer), worker.poller)
        peer.pointee.ownRareState.relay = relay
        if peer.pointee.flags.contains(.inputEnded) { relay.finishInput() }
        // What it is told already goes out in front.
        if !peer.pointee.outbox.isEmpty { worker.markDirty(peer) }
        return relay.descriptor
    }

    /// The poller's name for the end here.
    private func token(_ peer: ConnectionPointer) -> UInt64 { peer.pointee.token | UInt64(Worker.Special.firstRelay) }

    /// Nil where it is not relayed.
    private func relay(of peer: ConnectionPointer) -> Relay? {
        peer.pointee.phase == .away ? peer.pointee.rareState?.relay : nil
    }

    // MARK: From the peer

    /// The peer has said something, has ended, or is gone.
    func readable(_ peer: ConnectionPointer, hangUp: Bool, on worker: Worker) {
        // One that is given away in this turn is looked at then.
        guard let relay = relay(of: peer) else { return }
        if relay.isCutOff { return ignore(peer, on: worker) }
        if peer.pointee.flags.contains(.inputEnded) {
            if hangUp { peerHungUp(peer, relay, on: worker) }
            return
        }
        guard peer.pointee.leftover.isEmpty else {
            if hangUp { cutOff(peer, on: worker) } else { worker.updateInterest(peer) }
            return
        }
        let buffer = unsafe worker.input.front(Self.room)
        switch unsafe peer.pointee.transport.read(into: buffer) {
        case .moved(let count):
            peer.pointee.bytesIn &+= UInt64(truncatingIfNeeded: count)
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<count])
            let taken = unsafe relay.write(bytes)
            if taken < count { unsafe peer.pointee.leftover.append(UnsafeRawBufferPointer(rebasing: bytes[taken...])) }
        case .wouldBlock: break
        case .endOfStream:
            peer.pointee.flags.insert(.inputEnded)
            relay.finishInput()
        case .failed(let error): return worker.closer.readingFailed(peer, error, on: worker)
        }
        if !peer.pointee.transport.isPlain { worker.tendLayer(peer) }
        settle(peer, relay, on: worker)
    }

    /// It has been begun just now, or input is in the layer below, of which the poller knows nothing.
    func resume(_ peer: ConnectionPointer, on worker: Worker) {
        guard let relay = relay(of: peer) else { return }
        if peer.pointee.takesRelayedInput, peer.pointee.transport.hasInput {
            readable(peer, hangUp: false, on: worker)
        } else {
            settle(peer, relay, on: worker)
        }
    }

    /// Both directions of the transport are over, or it is broken.
    private func peerHungUp(_ peer: ConnectionPointer, _ relay: Relay, on worker: Worker) {
        if relay.isEndTold { ignore(peer, on: worker) } else { cutOff(peer, on: worker) }
    }

    /// The poller has nothing more to say of the transport.
    private func ignore(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.interest = []
        if peer.pointee.transport.hasSocket { try? worker.poller.remove(peer.pointee.transport.number) }
    }

    // MARK: From the process

    /// The poller tells of the end of a pair.
    func ready(slot: UInt32, serial: UInt32, _ event: Poller.Event, on worker: Worker) {
        guard let peer = worker.table.find(slot: slot, serial: serial), let relay = relay(of: peer) else { return }
        if event.isWritable || event.isHangUp { push(peer, relay) }
        if event.isReadable { pull(peer, relay, on: worker) }
        settle(peer, relay, on: worker)
    }

    /// Passes on what the process had no room for.
    private func push(_ peer: ConnectionPointer, _ relay: Relay) {
        if peer.pointee.leftover.isEmpty { return }
        let taken = unsafe relay.write(UnsafeRawBufferPointer(peer.pointee.leftover.bytes))
        if taken == peer.pointee.leftover.count {
            peer.pointee.leftover.free()
        } else {
            peer.pointee.leftover.removeFirst(taken)
        }
    }

    /// Takes what the process has said, if the peer has taken what came before.
    ///
    /// - Returns: false when nothing more is there, or nothing more can be taken.
    @discardableResult
    private func pull(_ peer: ConnectionPointer, _ relay: Relay, on worker: Worker) -> Bool {
        if peer.pointee.outbox.isBlocked { return false }
        let buffer = unsafe worker.input.front(Self.room)
        guard case .moved(let count) = unsafe relay.read(into: buffer) else { return false }
        unsafe deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: peer, relay, on: worker)
        worker.flush(peer)
        return !relay.isCutOff
    }

    /// Queues what the process has said; over HTTP/2 the head of the answer is another one there.
    private func deliver(
        _ bytes: UnsafeRawBufferPointer, to peer: ConnectionPointer, _ relay: Relay, on worker: Worker
    ) {
        guard relay.answer != nil, let stream = peer.pointee.rareState?.stream else {
            return unsafe peer.pointee.outbox.append(bytes, pool: worker.pool)
        }
        unsafe relay.answer?.append(bytes)
        while let part = relay.answer?.next() {
            switch part {
            case .interim(let fields): stream.inform(fields)
            case .answer(let fields, let body):
                relay.answer = nil
                stream.answer(fields)
                unsafe body.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
            case .nonsense: return cutOff(peer, on: worker)
            }
        }
    }

    /// The peer takes output again.
    func outputTaken(_ peer: ConnectionPointer, on worker: Worker) {
        if let relay = relay(of: peer) { settle(peer, relay, on: worker) }
    }

    // MARK: What follows

    /// Passes on ends behind all that came before them, and waits for what is to come.
    private func settle(_ peer: ConnectionPointer, _ relay: Relay, on worker: Worker) {
        if relay.isCutOff || peer.pointee.phase != .away { return }
        if relay.isInputOver { peer.pointee.leftover.free() }
        if peer.pointee.flags.contains(.inputEnded), peer.pointee.leftover.isEmpty { relay.finishInput() }
        if !peer.pointee.outbox.isEmpty, !peer.pointee.outbox.isBlocked { worker.flush(peer) }
        if relay.isCutOff { return }
        if relay.isOutputOver, peer.pointee.outbox.isEmpty, !peer.pointee.outbox.isBlocked {
            if relay.isLeft { return end(peer, on: worker) }
            if relay.answer != nil { return cutOff(peer, on: worker) }
            passEnd(to: peer, relay)
        }
        var wanted: Poller.Interest = []
        if !relay.isOutputOver, !peer.pointee.outbox.isBlocked { wanted.insert(.readable) }
        if !peer.pointee.leftover.isEmpty { wanted.insert(.writable) }
        do throws(Errno) {
            try relay.watch(wanted, as: token(peer), worker.poller)
        } catch {
            return worker.closer.lose(peer, error, on: worker)
        }
        relay.closeIfOver()
        worker.updateInterest(peer)
        if peer.pointee.takesRelayedInput, peer.pointee.transport.hasInput { worker.resumeLater(peer) }
    }

    /// Tells the peer that nothing more will be said.
    private func passEnd(to peer: ConnectionPointer, _ relay: Relay) {
        if relay.isEndTold { return }
        peer.pointee.transport.finishSending()
        if peer.pointee.transport.isDrained {
            relay.isEndTold = true
        } else {
            // The kernel had no room for the last word of a layer: when it has, this is asked for again.
            peer.pointee.outbox.isBlocked = true
        }
    }

    // MARK: The end

    /// The process has let go of the connection: it ends when the peer has what was said to it.
    func ended(_ peer: ConnectionPointer, on worker: Worker) {
        guard let relay = relay(of: peer) else { return worker.closer.teardown(peer, on: worker) }
        // What becomes of the process from here on is no concern of it.
        peer.pointee.rareState?.away = nil
        let isReset = relay.endsWithReset
        relay.leave()
        if isReset { peer.pointee.transport.resetOnClose() }
        if isReset || relay.isCutOff { return worker.closer.teardown(peer, on: worker) }
        let closeTimeout = unsafe peer.pointee.binding?.pointee.limits.closeTimeout ?? worker.routing.handshakeTimeout
        worker.timers.setDeadline(peer, ticks: closeTimeout, on: worker)
        while pull(peer, relay, on: worker) {}
        settle(peer, relay, on: worker)
    }

    /// The peer had time to take what was said to it. One that takes any of it has more.
    func expire(_ peer: ConnectionPointer, on worker: Worker) {
        let hasTaken = UInt32(truncatingIfNeeded: peer.pointee.bytesOut) != peer.pointee.mark
        let closeTimeout = unsafe peer.pointee.binding?.pointee.limits.closeTimeout ?? worker.routing.handshakeTimeout
        if hasTaken, !worker.isStopping { return worker.timers.setDeadline(peer, ticks: closeTimeout, on: worker) }
        worker.closer.teardown(peer, on: worker)
    }

    /// The peer has all that there is for it.
    private func end(_ peer: ConnectionPointer, on worker: Worker) {
        forget(peer)
        // What the closing handshake wants has been waited for by the process.
        peer.pointee.flags.insert(.clean)
        worker.closer.end(peer, on: worker)
        worker.updateInterest(peer)
    }

    private func forget(_ peer: ConnectionPointer) {
        peer.pointee.rareState?.relay = nil
        peer.pointee.rareState?.away = nil
        peer.pointee.leftover.free()
    }

    /// The way to the peer is broken. What was to be said to it is lost, and the process hears of that; the slot is its until it
    /// has let go of the connection.
    func cutOff(_ peer: ConnectionPointer, on worker: Worker) {
        guard let relay = relay(of: peer), !relay.isCutOff else { return }
        relay.cutOff()
        ignore(peer, on: worker)
        peer.pointee.outbox.removeAll(pool: worker.pool)
        peer.pointee.outbox.isBlocked = false
        peer.pointee.leftover.free()
        peer.pointee.rareState?.unread = nil
        peer.pointee.flags.insert(.inputEnded)
        if relay.isLeft { worker.closer.teardown(peer, on: worker) }
    }

    /// No process goes on with the connection, whose record is given: it is the worker's again, with all that was said to the peer
    /// by then.
    ///
    /// - Returns: false when nothing can be said to it.
    func takeBack(_ peer: ConnectionPointer, _ record: ConnectionRecord, on worker: Worker) -> Bool {
        guard let relay = relay(of: peer) else { return true }
        let isCutOff = relay.isCutOff
        let buffer = unsafe worker.input.front(Self.room)
        while !relay.isCutOff, case .moved(let count) = unsafe relay.read(into: buffer) {
            unsafe deliver(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: peer, relay, on: worker)
        }
        if !relay.isCutOff {
            unsafe record.output.unsent.withUnsafeBytes { unsafe deliver($0, to: peer, relay, on: worker) }
        }
        relay.leave()
        if isCutOff || relay.isCutOff { return false }
        // A request is answered once, and frames come behind an answer.
        let hasAnswered = relay.answer == nil
        if peer.pointee.rareState?.stream != nil, hasAnswered == (record.phase == .head) { return false }
        forget(peer)
        return true
    }
}

extension Connection {
    /// It is relayed, and what the peer says is to be read.
    var takesRelayedInput: Bool {
        guard phase == .away, let relay = rareState?.relay else { return false }
        return !relay.isCutOff && leftover.isEmpty && !flags.contains(.inputEnded)
    }
}
