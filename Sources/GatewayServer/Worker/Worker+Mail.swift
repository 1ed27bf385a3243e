import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    func drainMailbox() {
        port.waker.answer()
        port.collect(into: &mail)
        // They may be read on from inside one of them.
        while nextMail < mail.count {
            let item = mail[nextMail]
            nextMail += 1
            open(item)
        }
        mail.removeAll(keepingCapacity: true)
        nextMail = 0
        mailCaughtUp = 0
    }

    /// Reads output of other threads before its turn: what they were promised goes out before what comes next here.
    ///
    /// All of it, for all connections, so that each thread's output keeps its order; and since no message is read this way
    /// twice, any number of connections may end in one turn.
    func catchUp() {
        if isDelivering { return }
        isDelivering = true
        port.collect(into: &mail)
        for index in max(nextMail, mailCaughtUp)..<mail.count where mail[index].isOutput {
            let item = mail[index]
            mail[index] = .done
            open(item)
        }
        mailCaughtUp = mail.count
        isDelivering = false
        closeSlowConsumers()
    }

    private func find(_ id: ConnectionID) -> ConnectionPointer? { table.find(slot: id.slot, serial: id.serial) }

    private func open(_ item: WorkerMessage) {
        switch item {
        case .adopt(let number, let options, let isSurplus):
            admit(Socket(adopting: number), options, isSurplus: isSurplus)
        case .frame(let id, let head, let payload):
            if WorkerMessage.isFragment(head: head) { port.streams.read(id, port) }
            guard let peer = receiver(id, payload: payload.count) else { return }
            unsafe payload.withUnsafeBytes { unsafe deliver(head: head, $0, to: peer) }
        case .shared(let id, let head, let address):
            openShared(id, head, address)
        case .subscribe(let id, let topic): open(subscription: topic, of: id)
        case .unsubscribe(let id, let key): if let peer = find(id) { unsubscribe(peer, key) }
        case .publication(let topic, let address, let except): open(publication: topic, address, except: except)
        case .event(let event): deliver(event)
        case .openHome(let record): openHome(record)
        case .close(let id):
            guard let end = port.takeEnd(of: id), let peer = find(id), peer.pointee.phase == .open else { return }
            beginClosing(peer, code: end.code, reason: end.reason, by: end.by)
        case .abort(let id):
            guard port.takeEnd(of: id) != nil, let peer = find(id) else { return }
            abort(peer)
        case .setReading(let id, let on, let tellsLane):
            guard let peer = find(id) else { return }
            if tellsLane, peer.pointee.phase == .open { peer.pointee.rareState?.lane?.setPaused(!on) }
            setReading(peer, on)
        case .asked(let id, let ticket, let status):
            guard let (peer, exchange) = answering(id, ticket) else { return }
            exchange.isOnLane = false
            if let reply = exchange.reply { conclude(peer, exchange, reply) } else { conclude(peer, exchange, status) }
            processLeftover(peer)
        case .laneEased(let id): if let peer = find(id) { relax(peer) }
        case .laneReachedClose(let id): if let peer = find(id) { takeHeldClose(peer) }
        case .laneThrottled(let id):
            guard let peer = find(id) else { return }
            peer.pointee.flags.insert(.laneThrottled)
            relax(peer)
        case .laneMoved(let lane, let handover, let isMoved): finishMove(lane, handover, isMoved)
        case .reply(let id, let ticket, let reply):
            guard let (peer, exchange) = answering(id, ticket) else { return }
            exchange.reply = reply
            if exchange.isOnLane { return }
            conclude(peer, exchange, reply)
            processLeftover(peer)
        case .listeners(let next): changeListeners(to: next)
        case .routing(let table): routing = table
        case .handover(let handover): begin(handover)
        case .fence(let fence): fence.pass()
        case .stop: beginStopping()
        case .done: break
        }
    }

    /// The request of a connection that an answer is for, if it still waits for one.
    private func answering(_ id: ConnectionID, _ ticket: UInt64) -> (ConnectionPointer, Exchange)? {
        guard let peer = find(id), let exchange = peer.pointee.exchange, exchange.ticket == ticket,
            peer.pointee.phase == .answering
        else { return nil }
        return (peer, exchange)
    }

    /// The open connection that a frame out of the mailbox is for, whose queue answers for its bytes from here on.
    private func receiver(_ id: ConnectionID, payload: Int) -> ConnectionPointer? {
        let bytes = FrameWriter.size(payload: payload)
        guard let peer = find(id), peer.pointee.phase == .open else {
            port.sharedTable[id.slot].vanishes(bytes)
            return nil
        }
        port.sharedTable[id.slot].arrives(bytes)
        peer.pointee.hasNotedQueue = true
        return peer
    }

    private func openShared(_ id: ConnectionID, _ head: UInt8, _ address: UInt) {
        guard let shared = unsafe UnsafeMutablePointer<SharedBuffer>(bitPattern: address) else { return }
        guard let peer = unsafe receiver(id, payload: shared.pointee.count) else {
            unsafe SharedBuffer.release(shared)
            return
        }
        unsafe deliver(head: head, shared: shared, to: peer)
    }

    /// Output that another thread asked for and was promised: it is queued whatever the queue holds.
    private func deliver(head: UInt8, _ payload: UnsafeRawBufferPointer, to peer: ConnectionPointer) {
        guard let opcode = Opcode(rawValue: head & 0x0F) else { return }
        if mustWait(opcode, peer) {
            let header = FrameWriter(opcode, isFinal: true, payloadLength: payload.count)
            hold(peer) { queue in
                queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
                unsafe queue.append(payload, pool: pool, size: .small)
            }
        } else {
            unsafe queueFrame(peer, opcode, isFinal: head & 0x80 != 0, payload)
        }
        noteDelivery(peer, head)
    }

    private func deliver(head: UInt8, shared: UnsafeMutablePointer<SharedBuffer>, to peer: ConnectionPointer) {
        guard let opcode = Opcode(rawValue: head & 0x0F) else { return }
        if mustWait(opcode, peer) {
            let header = unsafe FrameWriter(opcode, isFinal: true, payloadLength: shared.pointee.count)
            hold(peer) { queue in
                queue.append(header: header.low, header.high, count: header.count, pool: pool, size: .small)
                unsafe queue.append(shared: shared, from: 0, pool: pool)
            }
        } else {
            unsafe queueShared(peer, opcode, shared)
        }
        noteDelivery(peer, head)
    }

    /// Its sender was promised that it is sent, and another thread has begun a fragmented message before it came here.
    private func mustWait(_ opcode: Opcode, _ peer: ConnectionPointer) -> Bool {
        (opcode == .text || opcode == .binary) && isMidStream(peer)
    }

    private func noteDelivery(_ peer: ConnectionPointer, _ head: UInt8) {
        // The end of a message, not a control frame.
        if head & 0x88 == 0x80 {
            peer.pointee.messagesOut &+= 1
            peer.pointee.lastMessage = now
        }
        noteQueue(peer)
        if head & WorkerMessage.owesDrained != 0 { peer.pointee.flags.insert(.owesDrained) }
    }
}
