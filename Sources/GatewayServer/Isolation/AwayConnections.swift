import Bytes
import CGatewayABI
import GatewayIO
import Glibc
import Synchronization
import WebSocket

/// What becomes of connections that are with the process of their handler. For the workers of the first process.
enum AwayNews: Sendable {
    /// The process of a port has them.
    case taken([UInt64], IsolatedPort)
    /// They have ended there.
    case ended([UInt64])
    /// The process of a port has died.
    case died(ProcessDeath)
    /// There is a process again: whoever waits goes there.
    case revived(IsolatedPort)
    /// Whoever waits for the process of one port goes to that of another one.
    case redirected(from: IsolatedPort, to: IsolatedPort)
    /// No process comes any more.
    case givenUp(IsolatedPort)
}

/// Connections of isolated handlers in the first process, each in the slot that it keeps: their sockets go to the process of
/// the handler, with the request as it came, and copies of them stay here until it says that they have ended. The worker's own.
///
///     head ─▶ away ─given─▶ with the process ─ended─▶ gone
///               ▲                  │ it dies
///               └── record of the ledger ──▶ closed here, where nobody can go on with it
@safe final class AwayConnections {
    /// A request is for an isolated handler: the connection leaves when the input of this turn has been looked at.
    func begin(_ peer: ConnectionPointer, _ port: IsolatedPort, head: [UInt8], on worker: Worker) {
        peer.pointee.exchange = nil
        worker.timers.cancel(peer.pointee.slot)
        peer.pointee.ownRareState.away = AwayPeer(port, head: head)
        peer.pointee.phase = .away
        worker.resumeLater(peer)
    }

    /// Gives it away, if that has not happened yet.
    func give(_ peer: ConnectionPointer, on worker: Worker) {
        guard let away = peer.pointee.rareState?.away, !away.head.isEmpty else { return }
        if !peer.pointee.outbox.isEmpty, !peer.pointee.outbox.isBlocked { worker.write(peer) }
        guard peer.pointee.phase == .away else { return }
        if let failure = away.port.refusal { return refuse(peer, failure.reason, on: worker) }
        let isRelayed = !peer.pointee.transport.isPlain || !peer.pointee.transport.hasSocket
        if isRelayed, !beginRelay(peer, on: worker) { return }
        // It is as it was before the request: whoever takes it reads that anew.
        peer.pointee.phase = .head
        var record = worker.exporter.record(peer, on: worker)
        peer.pointee.phase = .away
        // Its handler's process sees to it from here on.
        peer.pointee.deadline = 0
        record.route = nil
        record.input.leftover = away.head + record.input.leftover
        away.head = []
        // What still is to be said goes out here, in front of what the process says.
        if isRelayed { record.output = OutputRecord() }
        away.record = record.bytes
        peer.pointee.leftover.free()
        if !isRelayed {
            peer.pointee.outbox.removeAll(pool: worker.pool)
            try? worker.poller.remove(peer.pointee.transport.number)
            peer.pointee.interest = []
        }
        send(peer, away, on: worker)
    }

    /// One comes from the program before: the process of its handler has it, or is to have it.
    func adopt(
        _ peer: ConnectionPointer, _ record: ConnectionRecord, _ binding: UnsafeMutablePointer<Binding>,
        _ port: IsolatedPort, on worker: Worker
    ) {
        try? worker.poller.remove(peer.pointee.transport.number)
        peer.pointee.interest = []
        peer.pointee.deadline = 0
        let route = unsafe binding.pointee.route
        unsafe peer.pointee.bind(binding)
        peer.pointee.flags.insert(.counted)
        route.connections.add(1, ordering: .relaxed)
        worker.countAdmitted(peer, at: route)
        peer.pointee.phase = .away
        let away = AwayPeer(port, head: [])
        peer.pointee.ownRareState.away = away
        guard let there = record.away else {
            peer.pointee.leftover.free()
            away.record = record.bytes
            if port.process != 0 { send(peer, away, on: worker) }
            return
        }
        away.record = there.given
        away.port = port.former ?? port
        away.port = away.port.last
    }

    /// What cannot be given away is relayed.
    private func beginRelay(_ peer: ConnectionPointer, on worker: Worker) -> Bool {
        do throws(Errno) {
            _ = try worker.relays.begin(peer, on: worker)
            return true
        } catch {
            worker.server.log.error(
                "connection \(String(peer.pointee.id.number, radix: 16)): no pair of sockets to its handler's process:"
                    + " \(error)")
            refuse(peer, "its handler cannot be reached", on: worker)
            return false
        }
    }

    /// Sends what is known of it to the process of its port.
    private func send(_ peer: ConnectionPointer, _ away: AwayPeer, on worker: Worker) {
        guard let record = away.record else { return }
        if away.port.next != nil { rebind(peer, away, away.port.last) }
        guard away.port.hasRoom() else { return }
        let own = peer.pointee.rareState?.relay?.descriptor ?? peer.pointee.transport.number
        let copy = fcntl(own, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else {
            worker.server.log.error(
                "connection \(String(peer.pointee.id.number, radix: 16)): no descriptor to give to its handler's process:"
                    + " \(Errno.last)")
            peer.pointee.rareState?.relay?.leave()
            return worker.closer.teardown(peer, on: worker)
        }
        let isRelayed = peer.pointee.rareState?.relay != nil
        away.process = away.port.give(peer.pointee.id, record, copy, isRelayed: isRelayed)
    }

    private func refuse(_ peer: ConnectionPointer, _ why: String, on worker: Worker) {
        peer.pointee.rareState?.away = nil
        worker.responder.reject(peer, .crashed(why), on: worker)
    }

    // MARK: News

    func hear(_ news: AwayNews, on worker: Worker) {
        switch news {
        case .taken(let connections, let port):
            for each in connections { find(each, on: worker).map { take($0, port) } }
        case .ended(let connections):
            for each in connections { find(each, on: worker).map { worker.relays.ended($0, on: worker) } }
        case .died(let death): recover(death, on: worker)
        case .revived(let port): resend(port, on: worker)
        case .redirected(let from, let next):
            let to = next.last
            each(with: from, on: worker) { peer, away in
                if away.record != nil { rebind(peer, away, to) }
            }
            resend(to, on: worker)
        case .givenUp(let port):
            let failure = port.refusal ?? IsolationFailure(code: CloseCode.serviceRestart, reason: Self.reason)
            each(with: port, on: worker) { peer, away in
                guard let bytes = away.record else { return }
                end(peer, try? ConnectionRecord(bytes), failure, on: worker)
            }
        }
    }

    private static let reason = "the handler's process has ended"

    private func find(_ connection: UInt64, on worker: Worker) -> ConnectionPointer? {
        let id = ConnectionID(connection)
        guard id.worker == Int(worker.port.index),
            let peer = worker.table.find(slot: id.slot, serial: id.serial), peer.pointee.phase == .away
        else { return nil }
        return peer
    }

    private func each(
        with port: IsolatedPort, on worker: Worker, _ body: (ConnectionPointer, AwayPeer) -> Void
    ) {
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot), peer.pointee.phase == .away,
                let away = peer.pointee.rareState?.away, away.port === port
            else { continue }
            body(peer, away)
        }
    }

    /// The process of a port has it, which may be another one than before.
    private func take(_ peer: ConnectionPointer, _ port: IsolatedPort) {
        guard let away = peer.pointee.rareState?.away else { return }
        away.record = nil
        if away.port === port { return }
        rebind(peer, away, port)
        port.moved.add(1, ordering: .relaxed)
    }

    private func rebind(_ peer: ConnectionPointer, _ away: AwayPeer, _ port: IsolatedPort) {
        (away.port, away.process) = (port, 0)
        guard let former = unsafe peer.pointee.binding,
            let next = unsafe port.binding(of: former.pointee.route.name)
        else { return }
        let isCounted = peer.pointee.flags.contains(.counted)
        peer.pointee.unbind()
        unsafe peer.pointee.bind(next)
        guard isCounted else { return }
        peer.pointee.flags.insert(.counted)
        unsafe next.pointee.route.connections.add(1, ordering: .relaxed)
    }

    /// Those that the process of the port has not been given.
    private func resend(_ port: IsolatedPort, on worker: Worker) {
        let process = port.process
        each(with: port, on: worker) { peer, away in
            if away.record != nil, away.process != process { send(peer, away, on: worker) }
        }
    }

    // MARK: Death

    /// The process has died: each of its connections waits for the next one, or ends here.
    private func recover(_ death: ProcessDeath, on worker: Worker) {
        if death.isAlive { return takeBack(death, on: worker) }
        claim(death, on: worker)
        let (port, ledger) = (death.port, death.ledger)
        each(with: port, on: worker) { peer, away in
            // Its request has come just now, and is given to the next process.
            guard away.head.isEmpty else { return }
            away.owesEnd = ledger?.isOpened(peer.pointee.id) ?? away.owesEnd
            switch ledger?.finding(of: peer.pointee.id) ?? .absent {
            // What it was given to has not had it, or this would not have it.
            case .given(let record):
                away.owesEnd = record.owesEnd
                goOn(peer, away, record, on: worker)
            // What it was given did not come there, or it ended there.
            case .absent: if away.record == nil { worker.relays.ended(peer, on: worker) }
            case .gone: worker.relays.ended(peer, on: worker)
            case .goesOn(let record):
                goOn(peer, away, record, isSuspect: ledger?.suspects(record) ?? false, on: worker)
            case .died(let record):
                if port.resumes, let record = ledger?.resumption(of: peer.pointee.id) {
                    goOn(peer, away, record, on: worker)
                    break
                }
                // That it cannot be restored is not its fault.
                let isRestoring = ledger?.diedRestoring(peer.pointee.id) ?? false
                let code = isRestoring ? CloseCode.serviceRestart : CloseCode.internalError
                end(
                    peer, record, IsolationFailure(code: code, reason: Self.crash),
                    memory: ledger?.memory(of: peer.pointee.id), on: worker)
            case .arriving(let isCertain):
                let known = away.record.flatMap { try? ConnectionRecord($0) }
                if !isCertain, !away.isSuspect, known != nil {
                    away.isSuspect = true
                    break
                }
                // That is not its fault.
                end(peer, known, IsolationFailure(code: CloseCode.serviceRestart, reason: Self.crash), on: worker)
            case .lost(let why, let record):
                worker.server.log.debug("connection \(String(peer.pointee.id.number, radix: 16)) ends: \(why)")
                end(
                    peer, record, IsolationFailure(code: CloseCode.serviceRestart, reason: Self.reason),
                    memory: ledger?.memory(of: peer.pointee.id), on: worker)
            }
            away.process = 0
        }
    }

    /// Whoever the former process had given to the one that died is that one's, whether it had come there or not.
    private func claim(_ death: ProcessDeath, on worker: Worker) {
        guard let former = death.former else { return }
        each(with: former.port, on: worker) { peer, away in
            let finding = death.ledger?.finding(of: peer.pointee.id) ?? .absent
            guard case .given(let record) = former.ledger.finding(of: peer.pointee.id) else {
                if finding != .absent { rebind(peer, away, death.port) }
                return
            }
            rebind(peer, away, death.port)
            away.owesEnd = record.owesEnd
            switch finding {
            case .absent, .arriving: away.record = record.bytes
            case .gone, .given, .goesOn, .died, .lost: break
            }
        }
    }

    /// The process lives, and has given some to one that does not: they come back.
    private func takeBack(_ death: ProcessDeath, on worker: Worker) {
        each(with: death.port, on: worker) { peer, away in
            guard case .given(let record)? = death.ledger?.finding(of: peer.pointee.id) else { return }
            away.owesEnd = record.owesEnd
            goOn(peer, away, record, on: worker)
            away.process = 0
        }
        resend(death.port, on: worker)
    }

    private static let crash = "the handler crashed"

    /// It waits for the next process, if that can do anything with it.
    ///
    /// - Parameter isSuspect: the process may have died of what waits for the pool.
    private func goOn(
        _ peer: ConnectionPointer, _ away: AwayPeer, _ record: ConnectionRecord, isSuspect: Bool = false,
        on worker: Worker
    ) {
        let isStateless = unsafe peer.pointee.binding?.pointee.has(GW_HF_STATELESS) ?? false
        guard record.phase != .open || record.handler?.state != nil || isStateless else {
            let failure = IsolationFailure(code: CloseCode.serviceRestart, reason: Self.reason)
            return end(peer, record, failure, on: worker)
        }
        let owed = owed(record, isSuspect: isSuspect)
        if let owed, away.owed == owed {
            return end(
                peer, record, IsolationFailure(code: CloseCode.internalError, reason: Self.crash), on: worker)
        }
        away.owed = owed
        var record = record
        record.ending.isUntold = record.phase == .closing && away.owesEnd
        guard peer.pointee.rareState?.relay != nil else { return away.record = record.bytes }
        record.peer = worker.exporter.peerRecord(peer)
        away.record = record.bytes
    }

    /// What a second process would show to have died of, should it.
    private func owed(_ record: ConnectionRecord, isSuspect: Bool) -> UInt64? {
        // What waits for the pool may do so for longer than some processes live.
        if isSuspect { return record.handledMessages | 1 << 63 }
        if !record.input.queued.isEmpty { return nil }
        return record.owesAnswer ? record.traffic.bytesIn : nil
    }

    /// Ends a connection here with a Close, if it can still be told.
    ///
    /// - Parameters:
    ///   - record: nil where nothing can be said to its peer.
    ///   - memory: what is known of it all the same.
    private func end(
        _ peer: ConnectionPointer, _ record: ConnectionRecord?, _ failure: IsolationFailure,
        memory: ConnectionRecord? = nil, on worker: Worker
    ) {
        let owesEnd = peer.pointee.rareState?.away?.owesEnd ?? false
        defer {
            if owesEnd {
                UntoldEnding.begin(peer, record ?? memory, EndingRecord(failure, isTold: record != nil), on: worker)
            }
        }
        guard let record, isTakenBack(peer, record, on: worker) else {
            peer.pointee.rareState?.relay?.leave()
            peer.pointee.transport.resetOnClose()
            return worker.closer.teardown(peer, on: worker)
        }
        switch record.phase {
        case .head:
            peer.pointee.phase = .head
            worker.responder.reject(peer, .crashed(failure.reason), on: worker)
        case .open:
            let body = [UInt8(failure.code >> 8), UInt8(truncatingIfNeeded: failure.code)] + Array(failure.reason.utf8)
            unsafe body.withUnsafeBytes { unsafe worker.queueFrame(peer, .close, isFinal: true, $0) }
            worker.closer.end(peer, on: worker)
        // The Close is among the output.
        case .closing: worker.closer.end(peer, on: worker)
        }
        worker.markDirty(peer)
    }

    /// Makes the connection this worker's again, with what is still to be said.
    ///
    /// - Returns: false when nothing can be said to the peer.
    private func isTakenBack(_ peer: ConnectionPointer, _ record: ConnectionRecord, on worker: Worker) -> Bool {
        peer.pointee.rareState?.away = nil
        if peer.pointee.rareState?.relay != nil { return worker.relays.takeBack(peer, record, on: worker) }
        do throws(Errno) {
            try worker.poller.add(peer.pointee.transport.number, token: peer.pointee.token, interest: .readable)
            peer.pointee.interest = .readable
        } catch {
            peer.pointee.ownRareState.osError = UInt8(clamping: error.code)
            return false
        }
        unsafe record.output.unsent.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
        return true
    }
}

extension EndingRecord {
    /// Of a connection that ends since its process has.
    ///
    /// - Parameter isTold: its peer gets a Close.
    fileprivate init(_ failure: IsolationFailure, isTold: Bool) {
        self.init()
        code = isTold ? failure.code : CloseCode.abnormal
        by = UInt8(GW_BY_GATEWAY)
        reason = Array(failure.reason.utf8)
    }
}
