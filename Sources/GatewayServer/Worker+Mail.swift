import Bytes
import CGatewayABI
import GatewayIO
import Synchronization
import WebSocket

extension Worker {
    func readLetters() {
        port.waker.answer()
        port.collect(into: &letters)
        for letter in letters { open(letter) }
        letters.removeAll(keepingCapacity: true)
    }

    private func find(_ id: ConnectionID) -> ConnectionPlace? { table.find(slot: id.slot, serial: id.serial) }

    private func open(_ letter: Letter) {
        switch letter {
        case .adopt(let number, let isSurplus): admit(Socket(adopting: number), isSurplus: isSurplus)
        case .frame(let id, let head, let payload):
            port.board[id.slot].arrived(FrameWriter.size(payload: payload.count))
            guard let peer = find(id), peer.its.phase == .open else { return }
            unsafe payload.withUnsafeBytes { unsafe deliver(head: head, $0, to: peer) }
        case .shared(let id, let head, let address):
            openShared(id, head, address)
        case .subscribe(let id, let topic): open(subscription: topic, of: id)
        case .unsubscribe(let id, let key): if let peer = find(id) { unsubscribe(peer, key) }
        case .publication(let topic, let address, let except): open(publication: topic, address, except: except)
        case .event(let event): deliver(event)
        case .timer(let number, let due): timers.insert(number, at: due)
        case .openHome(let record): openHome(record)
        case .close(let id, let code, let reason, let by):
            guard let peer = find(id), peer.its.phase == .open else { return }
            beginClosing(peer, code: code, reason: reason, by: by)
        case .abort(let id, let module): _ = abort(id, module: module)
        case .setReading(let id, let on, let tellsLane):
            guard let peer = find(id) else { return }
            if tellsLane, peer.its.phase == .open { peer.its.belongings?.lane?.setPaused(!on) }
            setReading(peer, on)
        case .asked(let id, let ticket, let status):
            guard let peer = find(id), let exchange = peer.its.exchange, exchange.ticket == ticket,
                peer.its.phase == .answering
            else { return }
            conclude(peer, exchange, status)
            processLeftover(peer)
        case .laneEased(let id): if let peer = find(id) { relax(peer) }
        case .laneMoved(let lane, let handOver, let isMoved): finishMove(lane, handOver, isMoved)
        case .reply(let id, let ticket, let reply):
            guard let peer = find(id), let exchange = peer.its.exchange, exchange.ticket == ticket,
                peer.its.phase == .answering
            else { return }
            conclude(peer, exchange, reply)
            processLeftover(peer)
        case .listeners(let next): changeListeners(to: next)
        case .routing(let table): routing = table
        case .handOver(let handOver): begin(handOver)
        case .fence(let fence): fence.pass()
        case .stop: beginStopping()
        }
    }

    private func openShared(_ id: ConnectionID, _ head: UInt8, _ address: UInt) {
        guard let shared = unsafe UnsafeMutablePointer<SharedOctets>(bitPattern: address) else { return }
        unsafe port.board[id.slot].arrived(FrameWriter.size(payload: shared.pointee.count))
        guard let peer = find(id), peer.its.phase == .open else {
            unsafe SharedOctets.release(shared)
            return
        }
        unsafe deliver(head: head, shared: shared, to: peer)
    }

    /// Output that another thread asked for and was promised: it is queued whatever the queue holds.
    private func deliver(head: UInt8, _ payload: UnsafeRawBufferPointer, to peer: ConnectionPlace) {
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

    private func deliver(head: UInt8, shared: UnsafeMutablePointer<SharedOctets>, to peer: ConnectionPlace) {
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
    private func mustWait(_ opcode: Opcode, _ peer: ConnectionPlace) -> Bool {
        (opcode == .text || opcode == .binary) && isMidStream(peer)
    }

    private func noteDelivery(_ peer: ConnectionPlace, _ head: UInt8) {
        // The end of a message, not a control frame.
        if head & 0x88 == 0x80 {
            peer.its.messagesOut &+= 1
            peer.its.lastMessage = now
        }
        noteQueue(peer)
        if head & Letter.owesDrained != 0 { peer.its.flags.insert(.owesDrained) }
    }
}
