import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import Glibc
import HandlerModules
import Synchronization
import WebSocket

/// Ends connections: the closing handshake, the end of the transport, what the handler hears of it, and the slot.
///
/// To close is to begin the handshake, to abort is to do without one, and a teardown frees the slot at the end of the
/// turn.
final class ConnectionCloser {
    /// Slots to be emptied at the end of the turn.
    private var closedSlots: [UInt32] = []
    /// Publications or messages are being given to many connections, none of which may end inside that.
    var isDelivering = false
    /// Connections that read too slowly and are closed for it as soon as nothing is being delivered.
    private var slowConsumers: [ConnectionID] = []

    /// Something is left for the end of a turn.
    var hasWork: Bool { !closedSlots.isEmpty || !slowConsumers.isEmpty }

    /// How long the end of our side may wait for the end of the peer's.
    private static let lingerMilliseconds: Int64 = 2000

    // MARK: WebSocket

    /// Begins the closing handshake behind what is queued (RFC 6455 7.1.2). Does nothing unless open.
    func beginClosing(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8], by: UInt16, on worker: Worker) {
        guard peer.pointee.phase == .open else { return }
        // RFC 6455 7.4.1: 1011 is "an unexpected condition"; it is what the kits make of an error a callback threw.
        if code == CloseCode.internalError, by == UInt16(GW_BY_HANDLER), let binding = unsafe peer.pointee.binding {
            unsafe binding.pointee.failures.add(1, ordering: .relaxed)
        }
        if by == UInt16(GW_BY_HANDLER) { peer.pointee.cutOffPool() }
        noteEnd(peer, code: code, reason: reason, by: by, on: worker)
        queueClose(peer, code: code, reason: reason, on: worker)
        peer.pointee.phase = .closing
        peer.pointee.flags.remove(.readingOff)
        peer.pointee.flags.remove(.throttled)
        if let binding = unsafe peer.pointee.binding {
            unsafe worker.timers.setDeadline(peer, ticks: binding.pointee.limits.closeTimeout, on: worker)
        }
        if peer.pointee.rareState?.peerClose != nil {
            // The peer's has come already.
            peer.pointee.flags.insert(.clean)
            return end(peer, on: worker)
        }
        // The peer's Close may lie in input that was held back.
        worker.resumeLater(peer)
    }

    /// A Close frame came (RFC 6455 5.5.1).
    @inline(never)
    func closeReceived(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer, on worker: Worker) {
        switch unsafe ClosePayload.parse(body) {
        case .success: if unsafe !holdClose(peer, body, on: worker) { unsafe answerClose(peer, body, on: worker) }
        case .failure(let violation): fail(peer, violation, on: worker)
        }
    }

    /// Answers the peer's Close, whose body has been found to be one, and ends the connection.
    func answerClose(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer, on worker: Worker) {
        guard case .success(let payload) = unsafe ClosePayload.parse(body) else { return }
        if peer.pointee.phase == .open {
            let reason = unsafe Array(body.dropFirst(2))
            noteEnd(peer, code: payload.code, reason: reason, by: UInt16(GW_BY_PEER), on: worker)
            queueClose(peer, code: payload.code == CloseCode.none ? 0 : payload.code, reason: reason, on: worker)
        }
        peer.pointee.flags.insert(.clean)
        end(peer, on: worker)
    }

    /// The peer broke a rule: the connection fails (RFC 6455 7.1.7).
    func fail(_ peer: ConnectionPointer, _ violation: ProtocolViolation, on worker: Worker) {
        let reason = violation.reason
        if peer.pointee.phase == .open {
            let isLimit = violation == .frameTooBig || violation == .messageTooBig
            report(peer, isLimit ? GW_E_LIMIT : GW_E_INVALID, reason, on: worker)
            // The callback may have closed or aborted.
            if peer.pointee.phase == .open {
                noteEnd(
                    peer, code: violation.closeCode, reason: Array(reason.utf8), by: UInt16(GW_BY_GATEWAY), on: worker)
                queueClose(peer, code: violation.closeCode, reason: Array(reason.utf8), on: worker)
            }
        }
        if peer.pointee.phase != .gone { end(peer, on: worker) }
    }

    private func queueClose(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8], on worker: Worker) {
        // What other threads were promised goes before it; from here on they are refused.
        if worker.port.sharedTable[peer.pointee.slot].hasMail { worker.mailbox.catchUp(on: worker) }
        var body: [UInt8] = []
        if code != 0 {
            body.reserveCapacity(2 + reason.count)
            body.append(UInt8(truncatingIfNeeded: code >> 8))
            body.append(UInt8(truncatingIfNeeded: code))
            body.append(contentsOf: reason.prefix(ClosePayload.maximumReason))
        }
        unsafe body.withUnsafeBytes { unsafe worker.queueFrame(peer, .close, isFinal: true, $0) }
    }

    /// Writes down why a connection ends, once, and makes it closed to every sender.
    private func noteEnd(_ peer: ConnectionPointer, code: UInt16, reason: [UInt8], by: UInt16, on worker: Worker) {
        guard peer.pointee.closeBy == 0 else { return }
        // The header: after the handler's close it is that code, also if the peer then vanished.
        if by == UInt16(GW_BY_TRANSPORT), !worker.port.sharedTable.isOpen(peer.pointee.id),
            let promised = worker.port.promisedEnd(of: peer.pointee.id)
        {
            return noteEnd(peer, code: promised.code, reason: promised.reason, by: promised.by, on: worker)
        }
        if by == UInt16(GW_BY_TRANSPORT), let body = peer.pointee.rareState?.peerClose {
            peer.pointee.rareState?.peerClose = nil
            let code = unsafe body.withUnsafeBytes { unsafe (try? ClosePayload.parse($0).get())?.code }
            return noteEnd(
                peer, code: code ?? CloseCode.none, reason: Array(body.dropFirst(2)), by: UInt16(GW_BY_PEER), on: worker
            )
        }
        worker.pubSub.leaveTopics(peer, on: worker)
        peer.pointee.closeCode = code == 0 ? CloseCode.none : code
        if !reason.isEmpty { peer.pointee.ownRareState.closeReason = reason }
        peer.pointee.closeBy = UInt8(truncatingIfNeeded: by)
        worker.port.sharedTable.withdraw(peer.pointee.slot)
        // Behind that: as long as other threads find the connection open, its timers can be cancelled.
        worker.port.timers.end(.connection(peer.pointee.id.number))
        worker.port.streams.end(peer.pointee.id, worker.port)
    }

    // MARK: The transport

    /// Sends what is queued and then the end of our side.
    func end(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.phase = .ending
        peer.pointee.flags.remove(.readingOff)
        peer.pointee.flags.remove(.throttled)
        peer.pointee.assembler.clear()
        let closeTimeout = unsafe peer.pointee.binding?.pointee.limits.closeTimeout ?? worker.routing.handshakeTimeout
        worker.timers.setDeadline(peer, ticks: closeTimeout, on: worker)
        worker.markDirty(peer)
    }

    /// Everything was sent that will ever be.
    @inline(never)
    func sent(_ peer: ConnectionPointer, on worker: Worker) {
        let isOver = peer.pointee.flags.contains(.clean) || peer.pointee.flags.contains(.inputEnded)
        // A layer may owe the peer a last word of its own; a socket says the same by being closed.
        if !isOver || !peer.pointee.transport.isPlain { peer.pointee.transport.finishSending() }
        // The kernel had no room for that word. When it has, this is called again; close_timeout is the end of it.
        guard peer.pointee.transport.isDrained else {
            peer.pointee.outbox.isBlocked = true
            return worker.updateInterest(peer)
        }
        if isOver { return teardown(peer, on: worker) }
        // Closing a socket with unread input resets the connection, and a reset overtakes what was sent: our side has
        // ended, and input is thrown away until the peer has read that.
        peer.pointee.phase = .lingering
        peer.pointee.leftover.free()
        worker.timers.setDeadline(peer, ticks: TimerWheel.ticks(milliseconds: Self.lingerMilliseconds), on: worker)
        sayClosed(peer, on: worker)
    }

    /// The peer finished sending.
    @inline(never)
    func inputEnded(_ peer: ConnectionPointer, on worker: Worker) {
        peer.pointee.flags.insert(.inputEnded)
        switch peer.pointee.phase {
        case .open:
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT), on: worker)
            teardown(peer, on: worker)
        // A client may end its side behind a request and wait for the answer; there will be no other request.
        case .head where !peer.pointee.outbox.isEmpty: end(peer, on: worker)
        case .head, .body, .multiplexed, .closing, .lingering: teardown(peer, on: worker)
        case .ending:
            if peer.pointee.outbox.isEmpty, peer.pointee.transport.isDrained { teardown(peer, on: worker) }
        case .answering, .away, .gone: break
        }
    }

    /// Reading failed: the connection is lost, unless all that is wrong is that the peer speaks HTTP without TLS.
    @inline(never)
    func readingFailed(_ peer: ConnectionPointer, _ error: Errno, on worker: Worker) {
        if peer.pointee.transport.isBypassed, peer.pointee.phase == .head {
            return worker.responder.reject(peer, .plainHTTP, on: worker)
        }
        if worker.acceptor.noteMissingHeader(peer, on: worker) { return lose(peer, error, on: worker) }
        // That a peer is gone without a farewell is nothing to speak of once it has been here.
        let isUsual = error.code == ECONNRESET && peer.pointee.transport.security != nil
        logFailure(peer, isUsual ? .debug : .info, on: worker)
        lose(peer, error, on: worker)
    }

    /// Says why a layer did not work.
    func logFailure(_ peer: ConnectionPointer, _ level: Log.Level, on worker: Worker) {
        guard !peer.pointee.transport.isPlain, worker.server.log.writes(level),
            let failure = peer.pointee.transport.failure,
            let skipped = worker.server.layerFailures.admit(at: worker.nowNanoseconds)
        else { return }
        let isWaiting = peer.pointee.phase == .head && peer.pointee.flags.contains(.throttled)
        let address = peer.pointee.peerAddress?.description ?? "-"
        worker.server.log.write(
            level,
            "\(address): \(failure)" + (isWaiting ? ", its turn did not come (handshake_limit)" : "")
                + (skipped > 0 ? " (\(skipped) more like this were not logged)" : ""))
    }

    /// The connection broke.
    @inline(never)
    func lose(_ peer: ConnectionPointer, _ error: Errno, on worker: Worker) {
        if peer.pointee.phase == .gone { return }
        peer.pointee.ownRareState.osError = UInt8(clamping: error.code)
        if peer.pointee.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT), on: worker)
        }
        teardown(peer, on: worker)
    }

    /// The peer has taken none of the output that waits for it for `write_timeout`: it would take no Close either.
    func endUnread(_ peer: ConnectionPointer, on worker: Worker) {
        if peer.pointee.phase == .gone { return }
        let costs = unsafe peer.pointee.binding?.pointee.route.costs ?? worker.server.costs
        costs.writeTimeouts.add(1, ordering: .relaxed)
        if let more = worker.server.unreadLog.admit(at: worker.nowNanoseconds) {
            worker.server.log.info("\(name(peer)): took none of its output for write_timeout, ended\(more)")
        }
        // ETIMEDOUT
        peer.pointee.ownRareState.osError = 110
        if peer.pointee.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_GATEWAY), on: worker)
        }
        peer.pointee.transport.resetOnClose()
        teardown(peer, on: worker)
    }

    /// A connection for the log: its number, peer and route.
    private func name(_ peer: ConnectionPointer) -> String {
        let address = peer.pointee.transport.peerAddress?.description ?? "-"
        let route = unsafe peer.pointee.binding.map { unsafe " on \($0.pointee.route.pattern)" } ?? ""
        return "connection \(String(peer.pointee.id.number, radix: 16)) of \(address)\(route)"
    }

    /// A handler wants it gone without a handshake.
    func abort(_ peer: ConnectionPointer, on worker: Worker) {
        switch peer.pointee.phase {
        case .open, .closing, .ending:
            peer.pointee.cutOffPool()
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_HANDLER), on: worker)
            // GW_BY_HANDLER with 1006 also when the closing handshake had begun: abort is what ended it.
            if peer.pointee.phase == .closing {
                (peer.pointee.closeCode, peer.pointee.closeBy) = (CloseCode.abnormal, UInt8(GW_BY_HANDLER))
            }
            peer.pointee.transport.resetOnClose()
            teardown(peer, on: worker)
        case .head, .body, .answering, .away, .multiplexed, .lingering, .gone: break
        }
    }

    /// Nothing more is done for this peer; its slot is emptied at the end of the turn.
    func teardown(_ peer: ConnectionPointer, on worker: Worker) {
        if peer.pointee.phase == .gone { return }
        // The slot is the other process's, too, until that has let go of it.
        if peer.pointee.phase == .away, let relay = peer.pointee.rareState?.relay, !relay.isLeft {
            return worker.relays.cutOff(peer, on: worker)
        }
        // The handler's answer is on its way here.
        if peer.pointee.flags.contains(.peerLeft), peer.pointee.phase == .answering { return }
        if peer.pointee.phase == .answering, let exchange = peer.pointee.exchange,
            worker.server.pendingReplies.close(exchange.ticket)
        {
            // The handler's answer was taken and is on its way here: a connection it accepted is still owed its
            // `open` and `close`, so that the state in the answer can be freed.
            peer.pointee.flags.insert(.peerLeft)
            peer.pointee.deadline = 0
            try? worker.poller.remove(peer.pointee.transport.number)
            worker.timers.cancel(peer.pointee.slot)
            return
        }
        if peer.pointee.phase == .open {
            noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT), on: worker)
        }
        peer.pointee.phase = .gone
        closedSlots.append(peer.pointee.slot)
    }

    /// The peer of a connection that opens only now has gone already.
    func noteTeardown(_ peer: ConnectionPointer, on worker: Worker) {
        noteEnd(peer, code: CloseCode.abnormal, reason: [], by: UInt16(GW_BY_TRANSPORT), on: worker)
        peer.pointee.phase = .closing
    }

    // MARK: What the handler hears

    /// Tells the handler of an error; `close` follows.
    func report(_ peer: ConnectionPointer, _ status: Int, _ what: String, on worker: Worker) {
        if peer.pointee.flags.contains(.opened) { worker.run(peer, .error(gw_status(status), what)) }
    }

    /// Tells of errors that came up where no callback may be called: inside a host function (R1).
    private func reportLate(_ peer: ConnectionPointer, on worker: Worker) {
        if peer.pointee.closeBy == UInt8(GW_BY_GATEWAY), peer.pointee.closeCode == CloseCode.tryAgainLater {
            let isShed = peer.pointee.rareState?.closeReason.elementsEqual(Self.shedReason.utf8) ?? false
            let what =
                isShed ? "max_memory is reached" : "more than send_buffer waits for the peer to read"
            report(peer, GW_E_LIMIT, what, on: worker)
        } else if let osError = peer.pointee.rareState?.osError, osError != 0 {
            report(peer, GW_E_CLOSED, Errno(Int32(osError)).description, on: worker)
        }
    }

    /// Calls `close` of a connection that was opened, the first time it is asked to.
    func sayClosed(_ peer: ConnectionPointer, on worker: Worker) {
        guard peer.pointee.flags.contains(.opened) else { return }
        reportLate(peer, on: worker)
        worker.countClosed(peer)
        peer.pointee.flags.remove(.opened)
        // Whoever goes on when the process dies of `close` is not to tell of this end as well.
        worker.ledger?.commit(peer, on: worker)
        worker.responder.noteClosed(peer, on: worker)
        if peer.pointee.flags.contains(.inspected) { worker.tracing.closed(peer, on: worker) }
        worker.port.sharedTable.end(peer.pointee.id)
        worker.run(peer, .close(Ending(peer)))
    }

    // MARK: Slow consumers

    /// Closes a peer that reads too slowly; a little later where many connections are being given something.
    func closeSlowConsumer(_ peer: ConnectionPointer, on worker: Worker) {
        if isDelivering { return noteSlowConsumer(peer) }
        guard peer.pointee.phase == .open else { return }
        unsafe peer.pointee.binding?.pointee.route.costs.closed.add(1, ordering: .relaxed)
        beginClosing(
            peer, code: CloseCode.tryAgainLater, reason: Array("slow consumer".utf8), by: UInt16(GW_BY_GATEWAY),
            on: worker)
    }

    /// Has it closed as soon as nothing is being delivered.
    func noteSlowConsumer(_ peer: ConnectionPointer) { slowConsumers.append(peer.pointee.id) }

    func closeSlowConsumers(on worker: Worker) {
        while !isDelivering, let id = slowConsumers.popLast() {
            if let peer = worker.table.find(slot: id.slot, serial: id.serial) { closeSlowConsumer(peer, on: worker) }
        }
    }

    // MARK: Memory

    private static let shedReason = "memory limit"

    /// Closes a connection for what it holds (`max_memory`), and lets go of that at once: of what is queued only the rest
    /// of a frame that has begun to leave goes before the Close.
    func shed(_ peer: ConnectionPointer, on worker: Worker) {
        worker.server.memory.shed.add(1, ordering: .relaxed)
        guard peer.pointee.phase == .open else { return teardown(peer, on: worker) }
        // What other threads were promised comes before the Close, and so into what is dropped.
        if worker.port.sharedTable[peer.pointee.slot].hasMail { worker.mailbox.catchUp(on: worker) }
        worker.slowConsumers.dropAll(peer, on: worker)
        peer.pointee.assembler.clear()
        beginClosing(
            peer, code: CloseCode.tryAgainLater, reason: Array(Self.shedReason.utf8), by: UInt16(GW_BY_GATEWAY),
            on: worker)
    }

    // MARK: A Close that waits for the pool

    /// Has the peer's Close wait for the callback queue, so that what the peer sent before is still delivered to an
    /// open connection, and answered, as it is on a loop.
    ///
    /// - Returns: false when nothing waits before it.
    func holdClose(_ peer: ConnectionPointer, _ body: UnsafeRawBufferPointer, on worker: Worker) -> Bool {
        guard peer.pointee.phase == .open, let rareState = peer.pointee.rareState, let callbacks = rareState.callbacks,
            callbacks.isBusy
        else {
            return false
        }
        rareState.peerClose = unsafe Array(body)
        peer.pointee.flags.insert(.throttled)
        worker.enqueue(peer, callbacks, .peerClosed)
        // A handler that blocks for longer does not keep the peer from its closing handshake.
        if let binding = unsafe peer.pointee.binding {
            unsafe worker.timers.setDeadline(peer, ticks: binding.pointee.limits.closeTimeout, on: worker)
        }
        return true
    }

    func takeHeldClose(_ peer: ConnectionPointer, on worker: Worker) {
        guard let body = peer.pointee.rareState?.peerClose, peer.pointee.phase == .open else { return }
        peer.pointee.rareState?.peerClose = nil
        peer.pointee.flags.remove(.throttled)
        unsafe body.withUnsafeBytes { unsafe answerClose(peer, $0, on: worker) }
        worker.updateInterest(peer)
    }

    // MARK: The end of the worker

    /// Asks every peer to go.
    ///
    /// - Returns: how long the longest closing handshake may take, in ticks.
    func sendAllAway(on worker: Worker) -> UInt32 {
        var longest = TimerWheel.ticks(milliseconds: 1000)
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot) else { continue }
            if let binding = unsafe peer.pointee.binding {
                longest = unsafe max(longest, binding.pointee.limits.closeTimeout)
            }
            sendAway(peer, on: worker)
        }
        return longest
    }

    func sendAway(_ peer: ConnectionPointer, on worker: Worker) {
        switch peer.pointee.phase {
        case .open:
            beginClosing(
                peer, code: CloseCode.goingAway, reason: Array("the gateway is shutting down".utf8),
                by: UInt16(GW_BY_SHUTDOWN), on: worker)
        case .head where peer.pointee.leftover.isEmpty: teardown(peer, on: worker)
        case .multiplexed: worker.http2.shutDown(peer)
        case .head, .body, .answering, .away, .closing, .ending, .lingering, .gone: break
        }
    }

    /// The deadline of stopping has passed: what is left is cut off.
    func dropAll(on worker: Worker) {
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot) else { continue }
            peer.pointee.rareState?.relay?.leave()
            teardown(peer, on: worker)
        }
    }

    // MARK: Slots

    /// Empties the slots of connections that are gone; one that was opened hears `close` now at the latest.
    func reap(on worker: Worker) {
        var index = 0
        while index < closedSlots.count {
            if let peer = worker.table.occupant(closedSlots[index]), peer.pointee.phase == .gone {
                remove(peer, on: worker)
            }
            index += 1
        }
        if index > 0 { closedSlots.removeAll(keepingCapacity: true) }
    }

    private func remove(_ peer: ConnectionPointer, on worker: Worker) {
        sayClosed(peer, on: worker)
        if peer.pointee.rareState?.isEndUntold ?? false, !worker.table.isLent(peer.pointee.slot) {
            UntoldEnding.tell(peer, on: worker)
        }
        if !peer.pointee.transport.isPlain {
            peer.pointee.transport.give(nil)
            peer.pointee.transport.closeLayer()
        }
        worker.http2.cutOff(peer, on: worker)
        if let exchange = peer.pointee.exchange { _ = worker.server.pendingReplies.close(exchange.ticket) }
        peer.pointee.unbind()
        worker.timers.cancel(peer.pointee.slot)
        peer.pointee.outbox.removeAll(pool: worker.pool)
        worker.pubSub.leaveTopics(peer, on: worker)
        peer.pointee.rareState?.held.removeAll(pool: worker.pool)
        worker.port.sharedTable[peer.pointee.slot].note(queued: 0)
        worker.port.sharedTable.end(peer.pointee.id)
        worker.acceptor.uncount(isSurplus: peer.pointee.flags.contains(.surplus), on: worker)
        if let ledger = worker.ledger {
            ledger.leave(peer)
            // The first process has a duplicate, by which the poller would go on telling of it.
            try? worker.poller.remove(peer.pointee.transport.number)
        }
        if let mail = worker.server.firstProcess, !worker.table.isLent(peer.pointee.slot) {
            mail.tellEnded(peer.pointee.id.number)
        }
        worker.table.remove(peer.pointee.slot)
    }
}
