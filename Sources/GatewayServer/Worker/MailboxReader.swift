import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

/// Reads what other threads posted to a worker, in its order; output also before its turn.
final class MailboxReader {
    private var mail: [WorkerMessage] = []
    /// The first message that has not been read, and behind the last one whose output has been read before its turn.
    private var nextMail = 0
    private var mailCaughtUp = 0

    func drain(on worker: Worker) {
        worker.port.waker.answer()
        worker.port.collect(into: &mail)
        if let ledger = worker.ledger {
            readAll(noting: ledger, on: worker)
        } else {
            // Reading a message may read on from inside it.
            while nextMail < mail.count {
                let item = mail[nextMail]
                nextMail += 1
                read(item, on: worker)
            }
        }
        mail.removeAll(keepingCapacity: true)
        nextMail = 0
        mailCaughtUp = 0
        if worker.exporter.isDue { worker.exporter.look(on: worker) }
    }

    /// The same where what becomes of it is written down.
    private func readAll(noting ledger: LedgerPage, on worker: Worker) {
        while nextMail < mail.count {
            let item = mail[nextMail]
            nextMail += 1
            ledger.noteMail(item, on: worker)
            read(item, on: worker)
            // Output of other threads leaves at once, so that a sender hears `drained` when it may go on, and not of each
            // message that has left before the next one.
            let isMore = item.isOutput && nextMail < mail.count && mail[nextMail].isOutput
            if !isMore { ledger.settle(on: worker) }
        }
    }

    /// Reads output of other threads before its turn: what they were promised goes out before what comes next here.
    ///
    /// All of it, for all connections, so that each thread's output keeps its order; and since no message is read this
    /// way twice, any number of connections may end in one turn.
    func catchUp(on worker: Worker) {
        if worker.closer.isDelivering { return }
        worker.closer.isDelivering = true
        worker.port.collect(into: &mail)
        mailCaughtUp = max(nextMail, mailCaughtUp)
        while mailCaughtUp < mail.count {
            let item = mail[mailCaughtUp]
            // A connection that comes is to have what lies behind it.
            if case .take = item { break }
            mailCaughtUp += 1
            if !item.isOutput { continue }
            mail[mailCaughtUp - 1] = .done
            worker.ledger?.noteMail(item, on: worker)
            read(item, on: worker)
        }
        worker.closer.isDelivering = false
        worker.closer.closeSlowConsumers(on: worker)
    }

    /// Reads what can be done without calling a handler: nothing is read behind it.
    func readLast(on worker: Worker) {
        worker.port.collect(into: &mail)
        while nextMail < mail.count {
            let item = mail[nextMail]
            nextMail += 1
            worker.ledger?.noteMail(item, on: worker)
            if item.isOutput || item.isEnd { read(item, on: worker) }
        }
    }

    /// A connection comes from another program, before which output that lies behind it must not be read.
    var awaitsConnection: Bool {
        guard mailCaughtUp < mail.count, mailCaughtUp >= nextMail, case .take = mail[mailCaughtUp] else { return false }
        return true
    }

    /// The lowest number of a publication that lies in the mailbox, and of the other program's mail; nil where there is none.
    func firstNumber(on worker: Worker) -> UInt64? {
        worker.port.collect(into: &mail)
        for item in mail[nextMail...] {
            if case .publication(_, _, _, _, let number) = item, number != 0 { return number }
        }
        return nil
    }

    /// Whether something for a connection has been collected and not read.
    func hasUnread(for id: ConnectionID, isMember: Bool) -> Bool {
        mail[nextMail...].contains { $0.concerns(id, isMember: isMember) }
    }

    private func find(_ id: ConnectionID, on worker: Worker) -> ConnectionPointer? {
        worker.table.find(slot: id.slot, serial: id.serial)
    }

    /// Carries out what a handler asked of a connection, or gives it to the other program when the connection is not here.
    /// What comes from there finds it here, or nowhere any more.
    private func carry(_ errand: SuccessionErrand, isFromElsewhere: Bool, on worker: Worker) {
        if let peer = find(errand.id, on: worker) { return errand.perform(on: peer, worker) }
        if !isFromElsewhere { worker.server.succession.give(errand) }
    }

    /// Queues a frame that a thread of the other program asked for.
    func queue(head: UInt8, _ payload: [UInt8], to peer: ConnectionPointer, on worker: Worker) {
        _ = worker.port.sharedTable[peer.pointee.slot].departs(FrameWriter.size(payload: payload.count))
        read(.frame(peer.pointee.id, head: head, payload: payload), on: worker)
    }

    private func read(_ item: WorkerMessage, on worker: Worker) {
        switch item {
        case .adopt(let number, let options, let isSurplus):
            worker.acceptor.admit(Socket(adopting: number), options, isSurplus: isSurplus, on: worker)
        case .handshake(let id, let place): worker.handshakes.begin(id, place, on: worker)
        case .frame(let id, let head, let payload):
            if WorkerMessage.isFragment(head: head) { worker.port.streams.read(id, worker.port) }
            guard let peer = receiver(id, payload: payload.count, on: worker) else {
                return passOn(id, head, payload, on: worker)
            }
            unsafe payload.withUnsafeBytes { unsafe queueOutput(head: head, $0, to: peer, on: worker) }
        case .shared(let id, let head, let address):
            readShared(id, head, address, on: worker)
        case .subscribe(let id, let topic): worker.pubSub.receiveSubscription(topic, of: id, on: worker)
        case .unsubscribe(let id, let key):
            guard let peer = find(id, on: worker) else {
                return worker.passOn(id, .unsubscribe(isGlobal: key.scope.isEmpty), key.name)
            }
            worker.pubSub.unsubscribe(peer, key, on: worker)
        case .publication(let topic, let address, let isPlain, let except, _):
            worker.pubSub.receivePublication(topic, address, isPlain: isPlain, except: except, on: worker)
        case .errand(let errand, let isFromElsewhere): carry(errand, isFromElsewhere: isFromElsewhere, on: worker)
        case .event(let event): worker.events.deliver(event, on: worker)
        case .openHome(let instanceContext): worker.events.openHome(instanceContext, on: worker)
        case .close(let id):
            guard let end = worker.port.takeEnd(of: id) else { return }
            guard let peer = find(id, on: worker) else {
                return worker.passOn(id, .close(code: end.code), end.reason)
            }
            if peer.pointee.phase != .open { return }
            worker.closer.beginClosing(peer, code: end.code, reason: end.reason, by: end.by, on: worker)
        case .abort(let id): abort(id, on: worker)
        case .setReading(let id, let on, let tellsPool):
            setReading(id, on, tellsPool, on: worker)
        case .asked(let id, let ticket, let status):
            if let (peer, exchange) = answering(id, ticket, on: worker) { conclude(peer, exchange, status, on: worker) }
        case .poolEased(let id): if let peer = find(id, on: worker) { worker.resumeBelowLowWater(peer) }
        case .poolReachedClose(let id): find(id, on: worker).map { worker.closer.takeHeldClose($0, on: worker) }
        case .refused(let id): noteRefusal(id, on: worker)
        case .poolThrottled(let id):
            guard let peer = find(id, on: worker) else { return }
            peer.pointee.flags.insert(.poolThrottled)
            worker.resumeBelowLowWater(peer)
        case .poolMoved(let callbacks, let handover, let isMoved):
            worker.migrator.finishMove(callbacks, handover, isMoved, on: worker)
        case .poolDone(let queue, let kind, let saved): worker.ledger?.noteDone(queue, kind, saved, on: worker)
        case .reply(let id, let ticket, let reply):
            guard let (peer, exchange) = answering(id, ticket, on: worker) else { return }
            exchange.reply = reply
            if exchange.isOnPool { return }
            worker.responder.conclude(peer, exchange, reply, on: worker)
            worker.processLeftover(peer)
        case .export, .endExport, .take, .countSlots, .copyRecords, .letIn, .releaseReserved, .gathered, .away,
            .poolSaved, .poolRestored:
            readSuccession(item, on: worker)
        case .listeners, .routing, .handover, .fence, .lag, .drain, .depart, .list, .trace, .endTrace, .stop:
            obey(item, on: worker)
        case .done: break
        }
    }

    /// What the control thread wants of the worker as a whole.
    private func obey(_ item: WorkerMessage, on worker: Worker) {
        switch item {
        case .listeners(let next): worker.acceptor.changeListeners(to: next, on: worker)
        case .routing(let table): worker.follow(table)
        case .handover(let handover): worker.migrator.begin(handover, on: worker)
        case .fence(let fence): fence.pass()
        case .lag(let lag): lag.answer(at: worker.clock())
        case .drain: worker.http2.shutDownAll(on: worker)
        case .depart(let ticks): worker.departures.begin(within: ticks, on: worker)
        case .list(let listing): listing.look(on: worker)
        case .trace(let tracer, let first, let found):
            worker.tracing.begin(tracer, from: first, found: found, on: worker)
        case .endTrace(let tracer, let first): worker.tracing.end(tracer, from: first, on: worker)
        case .stop: worker.beginStopping()
        default: break
        }
    }

    /// `upgrade` or `http` has returned on the pool.
    private func conclude(_ peer: ConnectionPointer, _ exchange: Exchange, _ status: Int32, on worker: Worker) {
        exchange.isOnPool = false
        if let reply = exchange.reply {
            worker.responder.conclude(peer, exchange, reply, on: worker)
        } else {
            worker.responder.conclude(peer, exchange, status, on: worker)
        }
        worker.processLeftover(peer)
    }

    private func abort(_ id: ConnectionID, on worker: Worker) {
        if worker.port.takeEnd(of: id) == nil { return }
        guard let peer = find(id, on: worker) else { return worker.passOn(id, .abort) }
        worker.closer.abort(peer, on: worker)
    }

    /// What an upgrade of the program has to do with connections.
    private func readSuccession(_ item: WorkerMessage, on worker: Worker) {
        switch item {
        case .export(let transfer): worker.exporter.ask(for: transfer, on: worker)
        case .endExport: worker.exporter.end(on: worker)
        case .take(let record, let descriptor, let received):
            worker.importer.take(record, descriptor, received: received, on: worker)
        case .countSlots(let slots):
            slots.note(worker.table.used, worker.table.highestSerial, of: worker.port.index)
            worker.table.leaveSerials()
        case .copyRecords(let copies): copies.add(worker.exporter.copies(on: worker), of: worker.port.index)
        case .letIn(let passage): worker.server.succession.pass(passage)
        case .releaseReserved: worker.table.releaseReserved()
        case .gathered: worker.importer.letGo(on: worker)
        case .away(let news): worker.away.hear(news, on: worker)
        case .poolSaved(let callbacks, let transfer, let letsGo, let state):
            worker.exporter.finishSave(callbacks, transfer, letsGo, state, on: worker)
        case .poolRestored(let callbacks, let isRestored):
            worker.importer.finishRestore(callbacks, isRestored, on: worker)
        default: break
        }
    }

    private func setReading(_ id: ConnectionID, _ on: Bool, _ tellsPool: Bool, on worker: Worker) {
        guard let peer = find(id, on: worker) else { return worker.passOn(id, .setReading(on)) }
        if tellsPool, peer.pointee.phase == .open { peer.pointee.rareState?.callbacks?.setPaused(!on) }
        worker.setReading(peer, on)
    }

    /// A send of another thread was refused: it hears `drained` when it may try again.
    private func noteRefusal(_ id: ConnectionID, on worker: Worker) {
        worker.port.sharedTable[id.slot].isRefused.store(false, ordering: .relaxed)
        guard let peer = find(id, on: worker), peer.pointee.phase == .open else { return }
        peer.pointee.outbox.owesDrained = true
        worker.ledger?.touch(peer)
        worker.slowConsumers.noteQueued(peer, on: worker)
        worker.resumeBelowLowWater(peer)
    }

    /// The request of a connection that an answer is for, if it still waits for one.
    private func answering(_ id: ConnectionID, _ ticket: UInt64, on worker: Worker) -> (ConnectionPointer, Exchange)? {
        guard let peer = find(id, on: worker), let exchange = peer.pointee.exchange, exchange.ticket == ticket,
            peer.pointee.phase == .answering
        else { return nil }
        return (peer, exchange)
    }

    /// The open connection that a frame out of the mailbox is for, whose queue answers for its bytes from here on.
    private func receiver(_ id: ConnectionID, payload: Int, on worker: Worker) -> ConnectionPointer? {
        let bytes = FrameWriter.size(payload: payload)
        guard let peer = find(id, on: worker), peer.pointee.phase == .open else {
            worker.port.sharedTable[id.slot].vanishes(bytes)
            return nil
        }
        worker.port.sharedTable[id.slot].arrives(bytes)
        peer.pointee.outbox.isNoted = true
        return peer
    }

    /// A frame for a connection that has left.
    private func passOn(_ id: ConnectionID, _ head: UInt8, _ payload: @autoclosure () -> [UInt8], on worker: Worker) {
        guard worker.server.succession.isOn.load(ordering: .relaxed), find(id, on: worker) == nil,
            let opcode = Opcode(rawValue: head & 0x0F)
        else { return }
        let isFinal = head & 0x80 != 0
        if WorkerMessage.isFragment(head: head), opcode.rawValue < 8 {
            let isPlain = head & WorkerMessage.plain != 0
            return worker.passOn(id, .fragment(opcode, isFinal: isFinal, isPlain: isPlain), payload())
        }
        worker.passOn(id, .frame(head: head & ~WorkerMessage.owesDrained), payload())
    }

    private func readShared(_ id: ConnectionID, _ head: UInt8, _ address: UInt, on worker: Worker) {
        guard let shared = unsafe UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
        guard let peer = unsafe receiver(id, payload: shared.pointee.count, on: worker) else {
            unsafe passOn(id, head, Array(shared.pointee.bytes), on: worker)
            unsafe SharedBuffer.release(shared)
            return
        }
        unsafe queueOutput(head: head, shared: shared, to: peer, on: worker)
    }

    /// Output that another thread asked for and was promised: it is queued whatever the queue holds.
    private func queueOutput(
        head: UInt8, _ payload: UnsafeRawBufferPointer, to peer: ConnectionPointer, on worker: Worker
    ) {
        guard let opcode = Opcode(rawValue: head & 0x0F) else { return }
        makeRoom(peer, for: payload.count, on: worker)
        // It may have broken at that.
        if peer.pointee.phase != .open { return }
        if mustWait(opcode, peer, on: worker) {
            let header = FrameWriter(opcode, isFinal: true, payloadLength: payload.count)
            unsafe worker.tracing.sent(peer, opcode, isFinal: true, payload, on: worker)
            worker.hold(peer) { queue in
                queue.append(header: header.low, header.high, count: header.count, pool: worker.pool, size: .small)
                unsafe queue.append(payload, pool: worker.pool, size: .small)
            }
        } else {
            let isPlain = head & WorkerMessage.plain != 0
            unsafe worker.queueFrame(peer, opcode, isFinal: head & 0x80 != 0, payload, isPlain: isPlain)
        }
        noteDelivery(peer, head, on: worker)
    }

    private func queueOutput(
        head: UInt8, shared: UnsafeMutablePointer<SharedBuffer>, to peer: ConnectionPointer, on worker: Worker
    ) {
        guard let opcode = Opcode(rawValue: head & 0x0F) else { return }
        unsafe makeRoom(peer, for: shared.pointee.count, on: worker)
        if peer.pointee.phase != .open { return unsafe SharedBuffer.release(shared) }
        if mustWait(opcode, peer, on: worker) {
            let header = unsafe FrameWriter(opcode, isFinal: true, payloadLength: shared.pointee.count)
            unsafe worker.tracing.sent(peer, opcode, isFinal: true, shared.pointee.bytes, on: worker)
            worker.hold(peer) { queue in
                queue.append(header: header.low, header.high, count: header.count, pool: worker.pool, size: .small)
                unsafe queue.append(shared: shared, from: 0, pool: worker.pool)
            }
        } else {
            unsafe worker.queueShared(peer, opcode, shared, isPlain: head & WorkerMessage.plain != 0)
        }
        noteDelivery(peer, head, on: worker)
    }

    /// The sender was told that there is room by what was queued then. If there is none any more, a slow peer is treated
    /// as its route says once again, and what was promised is queued all the same.
    private func makeRoom(_ peer: ConnectionPointer, for bytes: Int, on worker: Worker) {
        guard let most = unsafe peer.pointee.binding?.pointee.limits.sendBuffer else { return }
        if Outbox.admits(bytes, behind: worker.unsentBytes(peer), atMost: most) { return }
        worker.slowConsumers.noteOverrun(peer, bytes, atMost: most, on: worker)
    }

    /// The sender was promised that the message is sent, and another thread has begun a fragmented one before it came
    /// here.
    private func mustWait(_ opcode: Opcode, _ peer: ConnectionPointer, on worker: Worker) -> Bool {
        (opcode == .text || opcode == .binary) && peer.pointee.outbox.isStreaming
    }

    private func noteDelivery(_ peer: ConnectionPointer, _ head: UInt8, on worker: Worker) {
        // The end of a message, not a control frame.
        if head & 0x88 == 0x80, let opcode = Opcode(rawValue: head & 0x0F) {
            peer.pointee.noteSent(kind: peer.pointee.outbox.kind(of: opcode))
            peer.pointee.lastMessage = worker.now
        }
        worker.noteQueue(peer)
        if head & WorkerMessage.owesDrained != 0 { peer.pointee.outbox.owesDrained = true }
        worker.slowConsumers.noteQueued(peer, on: worker)
    }
}
