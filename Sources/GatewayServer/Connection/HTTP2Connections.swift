import Bytes
import GatewayHTTP2
import GatewayIO
import HTTP
import Synchronization

/// Connections of HTTP/2 and their streams (RFC 9113).
///
/// A connection of HTTP/2 is a connection in the phase `multiplexed`; each stream is one more, whose transport is the stream.
///
///     socket ─▶ connection of HTTP/2 ─▶ HTTP2Session ─▶ HTTP2Stream ─▶ connection of a WebSocket or a request
///     socket ◀─ its outbox           ◀─ once a turn   ◀─ HTTP2Stream ◀─ its outbox
///
/// All streams of a connection belong to the worker that owns it.
final class HTTP2Connections {
    /// Connections of HTTP/2 that may have something for their peers.
    private var waiting: [ConnectionID] = []
    private let buffer = SpareBuffer()

    /// So many bytes are taken of a session before they are offered to the kernel.
    private static let portion = 256 * 1024
    /// A connection without streams ends when nothing has come for so many times `handshake_timeout`.
    private static let idleTimeouts: UInt32 = 3
    /// What a client begins with that speaks HTTP/2 (RFC 9113 3.4).
    private static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    var hasWork: Bool { !waiting.isEmpty }

    // MARK: The beginning

    /// What the first bytes of a connection are.
    enum Beginning {
        case http1
        /// As far as they have come they are the preface of HTTP/2.
        case undecided
        case http2
    }

    /// Looks at what a connection begins with; one that may speak HTTP/2 and does is a connection of HTTP/2 from now on.
    func begin(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, on worker: Worker) -> Beginning {
        guard let rareState = peer.pointee.rareState, let most = rareState.options.maxStreams, rareState.stream == nil,
            peer.pointee.bytesOut == 0
        else { return .http1 }
        let count = min(bytes.count, Self.preface.count)
        guard unsafe bytes[..<count].elementsEqual(Self.preface[..<count]) else { return .http1 }
        if count < Self.preface.count { return .undecided }
        let underlay = HTTP2Underlay(
            peer: peer.pointee.peerAddress, local: peer.pointee.transport.localAddress,
            security: peer.pointee.transport.security)
        let settings = HTTP2Settings(maxStreams: most, maxHeaderList: worker.routing.headLimits.maxHead)
        guard let session = HTTP2Session(.server, settings, underlay, buffer) else {
            // ENOMEM
            worker.closer.lose(peer, Errno(12), on: worker)
            return .undecided
        }
        rareState.head = nil
        rareState.http2 = session
        peer.pointee.phase = .multiplexed
        let id = peer.pointee.id
        session.onOutput { [unowned self] in waiting.append(id) }
        waitOn(peer, on: worker)
        return .http2
    }

    // MARK: In

    /// Takes what has come for all streams of a connection.
    func receive(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, on worker: Worker) {
        guard let session = peer.pointee.rareState?.http2 else { return }
        let goesOn = unsafe session.receive(bytes, now: worker.nowNanoseconds)
        serve(session, of: peer, on: worker)
        if !goesOn { return giveUp(peer, session, on: worker) }
        // What the streams have answered goes out at once, while its memory is warm.
        if waiting.last == peer.pointee.id {
            waiting.removeLast()
            flush(peer, session, on: worker)
        }
    }

    /// Has the streams with news read.
    private func serve(_ session: HTTP2Session, of peer: ConnectionPointer, on worker: Worker) {
        for stream in session.takeTouched() {
            if stream.owner == 0, stream.request != nil { admit(stream, of: peer, on: worker) }
            if let its = connection(of: stream, on: worker), its.pointee.phase != .gone {
                // Also heard where the handler does not read, as a reset is.
                worker.readable(its, hangUp: stream.isBroken)
            }
        }
    }

    private func connection(of stream: HTTP2Stream, on worker: Worker) -> ConnectionPointer? {
        let id = ConnectionID(stream.owner)
        return stream.owner == 0 ? nil : worker.table.find(slot: id.slot, serial: id.serial)
    }

    private func admit(_ stream: HTTP2Stream, of peer: ConnectionPointer, on worker: Worker) {
        if worker.isEnding { peer.pointee.rareState?.http2?.shutDown() }
        guard let its = worker.acceptor.admit(stream, of: peer, on: worker) else { return stream.refuse() }
        stream.owner = its.pointee.id.number
    }

    // MARK: Out

    /// The peer takes output again.
    func resume(_ peer: ConnectionPointer) { waiting.append(peer.pointee.id) }

    /// What all streams have said in this turn leaves, of each connection in one write.
    func flush(on worker: Worker) {
        let all = waiting
        waiting.removeAll(keepingCapacity: true)
        for id in all {
            guard let peer = worker.table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .multiplexed,
                let session = peer.pointee.rareState?.http2
            else { continue }
            flush(peer, session, on: worker)
        }
    }

    private func flush(_ peer: ConnectionPointer, _ session: HTTP2Session, on worker: Worker) {
        // Until the kernel takes no more, or nobody has more: a stream that has room again may go on at once.
        while peer.pointee.phase == .multiplexed, !peer.pointee.outbox.isBlocked {
            let queued = peer.pointee.outbox.count
            let isFine = unsafe session.collect(atMost: Self.portion) {
                unsafe peer.pointee.outbox.append($0, pool: worker.pool)
            }
            // ENOMEM
            guard isFine else { return worker.closer.lose(peer, Errno(12), on: worker) }
            let hasSaid = peer.pointee.outbox.count > queued
            if hasSaid { worker.flush(peer) }
            for stream in session.takeRoomy() {
                if let its = connection(of: stream, on: worker), its.pointee.phase != .gone { worker.writable(its) }
            }
            serve(session, of: peer, on: worker)
            if session.failure != nil { break }
            if !hasSaid { break }
        }
        if peer.pointee.phase == .multiplexed { endIfOver(peer, session, on: worker) }
        if peer.pointee.phase != .gone { worker.updateInterest(peer) }
    }

    // MARK: The end

    private func endIfOver(_ peer: ConnectionPointer, _ session: HTTP2Session, on worker: Worker) {
        if session.failure != nil || session.isOver { return giveUp(peer, session, on: worker) }
        if session.streamCount == 0, session.isEnding || worker.isEnding { finish(peer, session, on: worker) }
    }

    /// Says that all is done, and ends the connection.
    private func finish(_ peer: ConnectionPointer, _ session: HTTP2Session, on worker: Worker) {
        session.finish()
        giveUp(peer, session, on: worker)
    }

    /// Nothing more is taken from the peer; it hears the last word.
    private func giveUp(_ peer: ConnectionPointer, _ session: HTTP2Session, on worker: Worker) {
        guard peer.pointee.phase == .multiplexed else { return }
        if let failure = session.failure { complain(peer, failure, on: worker) }
        _ = unsafe session.collect(atMost: .max) { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
        worker.closer.end(peer, on: worker)
        cutOff(peer, on: worker)
    }

    private func complain(
        _ peer: ConnectionPointer, _ failure: (code: HTTP2Code, reason: String), on worker: Worker
    ) {
        // With INTERNAL_ERROR nghttp2 answers more resets than it was told to bear.
        let isAbuse = failure.code == .enhanceYourCalm || failure.code == .internalError
        worker.server.rejections.note(isAbuse ? "http2-abuse" : "http2-error")
        guard let skipped = worker.server.layerFailures.admit(at: worker.nowNanoseconds) else { return }
        let address = peer.pointee.peerAddress?.description ?? "-"
        worker.server.log.info(
            "\(address): HTTP/2: \(failure.code.name): \(failure.reason)"
                + (skipped > 0 ? " (\(skipped) more like this were not logged)" : ""))
    }

    /// The connection is over for its streams.
    func cutOff(_ peer: ConnectionPointer, on worker: Worker) {
        guard let session = peer.pointee.rareState?.http2 else { return }
        session.cutOff()
        serve(session, of: peer, on: worker)
    }

    /// Asks the peer to open no more streams.
    func shutDown(_ peer: ConnectionPointer) { peer.pointee.rareState?.http2?.shutDown() }

    /// Asks all peers to open their streams elsewhere: the gateway drains.
    func shutDownAll(on worker: Worker) {
        for slot in 0..<worker.table.used {
            if let peer = worker.table.occupant(slot), peer.pointee.phase == .multiplexed { shutDown(peer) }
        }
    }

    // MARK: Silence

    /// Waits for bytes of the peer, as long as it may be silent before it is asked for a sign of life.
    private func waitOn(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.flags.remove(.pinged)
        let idle = worker.routing.handshakeTimeout * Self.idleTimeouts
        let interval = worker.routing.pingInterval == 0 ? idle : min(idle, worker.routing.pingInterval)
        worker.timers.setDeadline(peer, ticks: interval, on: worker)
        peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.bytesIn)
    }

    /// The peer may have been silent, or without a stream, for too long.
    func expire(_ peer: ConnectionPointer, on worker: Worker) {
        guard let session = peer.pointee.rareState?.http2 else { return }
        session.abandonLeftStreams()
        let idle = worker.routing.handshakeTimeout * Self.idleTimeouts
        if session.streamCount > 0 { peer.pointee.lastMessage = worker.now }
        if session.streamCount == 0, worker.isEnding || worker.now >= peer.pointee.lastMessage + idle {
            return finish(peer, session, on: worker)
        }
        let isSilent = UInt32(truncatingIfNeeded: peer.pointee.bytesIn) == peer.pointee.mark
        if !isSilent || worker.routing.pingInterval == 0 { return waitOn(peer, on: worker) }
        if peer.pointee.flags.contains(.pinged) {
            // ETIMEDOUT
            return worker.closer.lose(peer, Errno(110), on: worker)
        }
        session.ping()
        let patience = worker.routing.pongTimeout
        if patience == 0 { return waitOn(peer, on: worker) }
        peer.pointee.flags.insert(.pinged)
        worker.timers.setDeadline(peer, ticks: patience, on: worker)
        peer.pointee.mark = UInt32(truncatingIfNeeded: peer.pointee.bytesIn)
    }
}
