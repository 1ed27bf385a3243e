import Bytes
import CGatewayABI
import GatewayIO
import HTTP
import HandlerModules
import Synchronization
import WebSocket

/// Takes in connections of another process, each in the slot that it had there, and has its handler go on with it.
///
/// One that cannot go on is told so (1012); whatever is wrong with it, nothing happens to the others.
@safe final class ConnectionImporter {
    private static let upgraded = Array("the gateway was upgraded, and cannot go on with this".utf8)
    private static let replaced = Array("the handler was replaced, and cannot go on with this".utf8)

    /// - Parameters:
    ///   - bytes: a record; not believed.
    ///   - descriptor: of its socket; changes its owner.
    ///   - received: how much of what this process has given away the connection had had there.
    func take(_ bytes: [UInt8], _ descriptor: Int32, received: UInt64, on worker: Worker) {
        let socket = Socket(adopting: descriptor)
        defer { worker.server.succession.noteSeen() }
        let record: ConnectionRecord
        do throws(RecordError) {
            record = try ConnectionRecord(bytes)
        } catch {
            // In the midst of which frame its output stands nobody knows: nothing can be said to it.
            return fail("a record that cannot be read: \(error)", on: worker)
        }
        guard let peer = insert(record, socket, on: worker) else { return }
        if let binding = unsafe binding(of: record, on: worker),
            let port = unsafe binding.pointee.instanceContext.isolated
        {
            fill(peer, record)
            return unsafe worker.away.adopt(peer, record, binding, port, on: worker)
        }
        if record.away != nil {
            fail("nothing serves \(record.away?.route ?? "") in a process of its own", on: worker)
            return worker.closer.teardown(peer, on: worker)
        }
        worker.ledger?.arrive(peer)
        // Who is told that it is here finds it written down as well; and not before its handler has taken it.
        defer {
            worker.ledger?.settleArrival(on: worker)
            worker.server.firstProcess?.tellTaken(record.id)
        }
        fill(peer, record)
        switch record.phase {
        case .head: awaitRequest(peer, record, on: worker)
        case .open: open(peer, record, received, on: worker)
        case .closing: close(peer, record, on: worker)
        }
        if worker.isStopping { worker.closer.sendAway(peer, on: worker) }
        if peer.pointee.phase == .gone { return }
        // What it says reaches others only when those are there as well.
        if worker.server.firstProcess?.isGathering.load(ordering: .acquiring) ?? false {
            peer.pointee.flags.insert(.throttled)
        }
        if !peer.pointee.outbox.isEmpty { worker.markDirty(peer) }
        if !peer.pointee.leftover.isEmpty { worker.resumeLater(peer) }
        worker.updateInterest(peer)
    }

    /// Those that have waited for each other may be read from.
    func letGo(on worker: Worker) {
        for slot in 0..<worker.table.used {
            guard let peer = worker.table.occupant(slot),
                !peer.pointee.flags.isDisjoint(with: [.throttled, .poolThrottled])
            else { continue }
            worker.resumeBelowLowWater(peer)
            if peer.pointee.phase != .gone { worker.updateInterest(peer) }
        }
    }

    private func reason(on worker: Worker) -> [UInt8] {
        worker.server.firstProcess == nil ? Self.upgraded : Self.replaced
    }

    private func fail(_ what: String, on worker: Worker) {
        worker.server.succession.counters.failed.add(1, ordering: .relaxed)
        worker.server.log.error("a connection from the process before was lost: \(what)")
    }

    // MARK: The connection

    private func insert(
        _ record: ConnectionRecord, _ socket: consuming Socket, on worker: Worker
    ) -> ConnectionPointer? {
        let id = ConnectionID(record.id)
        let number = socket.number
        guard id.worker == Int(worker.port.index),
            let peer = worker.table.insert(Transport(socket), as: id, now: worker.now)
        else {
            fail("there is no place for connection \(String(record.id, radix: 16))", on: worker)
            worker.server.firstProcess?.tellEnded(record.id)
            return nil
        }
        worker.server.connections.add(1, ordering: .relaxed)
        worker.port.load.add(1, ordering: .relaxed)
        do throws(Errno) {
            try worker.poller.add(number, token: peer.pointee.token, interest: .readable)
        } catch {
            fail("connection \(String(record.id, radix: 16)): \(error)", on: worker)
            worker.closer.lose(peer, error, on: worker)
            return nil
        }
        return peer
    }

    private func fill(_ peer: ConnectionPointer, _ record: ConnectionRecord) {
        if let reader = FrameReader(resuming: record.input.frames) { peer.pointee.reader = reader }
        unsafe record.input.leftover.withUnsafeBytes { unsafe peer.pointee.leftover.append($0) }
        if let announced = record.peer.announced { peer.pointee.ownRareState.announced = announced.address }
        if let forwarded = record.peer.forwarded {
            peer.pointee.ownRareState.forwarded = ForwardedPeer(
                address: forwarded.address, isSecure: record.peer.isForwardedSecurely)
        }
        if let relay = record.peer.relay { peer.pointee.ownRareState.relayed = relay }
        if let maxStreams = record.peer.maxStreams {
            peer.pointee.ownRareState.options = ListenerOptions(maxStreams: maxStreams)
        }
        (peer.pointee.messagesIn, peer.pointee.messagesOut) = (record.traffic.messagesIn, record.traffic.messagesOut)
        (peer.pointee.bytesIn, peer.pointee.bytesOut) = (record.traffic.bytesIn, record.traffic.bytesOut)
        peer.pointee.mark = record.traffic.mark
        peer.pointee.counted = CountedTraffic(peer.pointee, uncounted: record.traffic.uncounted)
    }

    private func fillOutput(_ peer: ConnectionPointer, _ record: OutputRecord, on worker: Worker) {
        unsafe record.unsent.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
        peer.pointee.outbox.owesDrained = record.owesDrained
        if let border = record.border {
            peer.pointee.ownRareState.border = peer.pointee.bytesOut &+ UInt64(border)
        }
        guard let ping = record.unansweredPing else { return }
        // It is answered when what stands before it has been taken.
        peer.pointee.ownRareState.unansweredPing = ping
        peer.pointee.ownRareState.unansweredPings = Int(record.unansweredPings)
        peer.pointee.outbox.isBlocked = true
    }

    // MARK: Phases

    private func awaitRequest(_ peer: ConnectionPointer, _ record: ConnectionRecord, on worker: Worker) {
        fillOutput(peer, record.output, on: worker)
        peer.pointee.deadline = tick(in: record.times.deadlineIn, on: worker)
        worker.timers.schedule(peer, on: worker)
    }

    private func close(_ peer: ConnectionPointer, _ record: ConnectionRecord, on worker: Worker) {
        fillOutput(peer, record.output, on: worker)
        guard let binding = unsafe binding(of: record, on: worker),
            unsafe isPrepared(peer, record, binding, on: worker)
        else {
            // The Close is among the output.
            return worker.closer.end(peer, on: worker)
        }
        peer.pointee.phase = .closing
        if record.ending.isUntold { UntoldEnding.begin(peer, record, record.ending, on: worker) }
        (peer.pointee.closeCode, peer.pointee.closeBy) = (record.ending.code, record.ending.by)
        if !record.ending.reason.isEmpty { peer.pointee.ownRareState.closeReason = record.ending.reason }
        peer.pointee.deadline = tick(in: record.times.deadlineIn, on: worker)
        worker.timers.schedule(peer, on: worker)
    }

    private func open(
        _ peer: ConnectionPointer, _ record: ConnectionRecord, _ received: UInt64, on worker: Worker
    ) {
        fillOutput(peer, record.output, on: worker)
        guard let binding = unsafe binding(of: record, on: worker),
            unsafe isPrepared(peer, record, binding, on: worker)
        else {
            return refuse(peer, record, "nothing serves \(record.route?.name ?? "")", on: worker)
        }
        let exchange = unsafe request(of: peer, record, binding)
        if record.handler?.request != nil, exchange == nil {
            return refuse(peer, record, "its request is none", on: worker)
        }
        peer.pointee.phase = .open
        unsafe publish(peer, record.times, binding, on: worker)
        if worker.tracing.isActive { worker.tracing.resumed(peer, on: worker) }
        unsafe worker.slowConsumers.follow(binding, peer, on: worker)
        worker.noteQueue(peer)
        let errands = join(peer, record.handler, received, on: worker)
        unsafe resumeTimers(peer, record.handler, binding, on: worker)
        unsafe restore(peer, record, binding, exchange, on: worker)
        for errand in errands where peer.pointee.phase != .gone { errand.perform(on: peer, worker) }
        if peer.pointee.phase != .gone { worker.timers.schedule(peer, on: worker) }
    }

    /// Says to a peer that nobody goes on with it. Behind the rest of a frame that has begun to leave a Close may stand.
    private func refuse(_ peer: ConnectionPointer, _ record: ConnectionRecord, _ why: String, on worker: Worker) {
        fail("connection \(String(peer.pointee.id.number, radix: 16)): \(why)", on: worker)
        let code = CloseCode.serviceRestart
        let ending = EndingRecord(code: code, by: UInt8(GW_BY_RELOAD), reason: reason(on: worker))
        UntoldEnding.begin(peer, record, ending, on: worker)
        let body = [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)] + reason(on: worker)
        unsafe body.withUnsafeBytes { unsafe worker.queueFrame(peer, .close, isFinal: true, $0) }
        worker.closer.end(peer, on: worker)
    }

    // MARK: What serves it

    private func binding(of record: ConnectionRecord, on worker: Worker) -> UnsafeMutablePointer<Binding>? {
        guard let name = record.route?.name ?? record.away?.route,
            let handler = record.route?.handler ?? record.away?.handler
        else { return nil }
        // Routes are few, and this happens once for each connection.
        return unsafe worker.routing.routes.first { $0.name == name && $0.handler == handler }?.binding
    }

    /// Gives the connection to a binding, with what they agreed on.
    ///
    /// - Returns: whether there is memory for it.
    private func isPrepared(
        _ peer: ConnectionPointer, _ record: ConnectionRecord, _ binding: UnsafeMutablePointer<Binding>,
        on worker: Worker
    ) -> Bool {
        let route = unsafe binding.pointee.route
        unsafe peer.pointee.bind(binding)
        peer.pointee.flags.insert(.counted)
        route.connections.add(1, ordering: .relaxed)
        worker.countAdmitted(peer, at: route)
        if let subprotocol = record.route?.subprotocol { peer.pointee.ownRareState.subprotocol = subprotocol }
        if let logged = record.route?.logged { peer.pointee.ownRareState.loggedRequest = LoggedRequest(logged) }
        guard let agreed = record.compression else { return true }
        let compression = route.resume(agreed.parameters, on: worker.port)
        if !agreed.received.isEmpty {
            compression.inflater = Inflater(
                windowBits: agreed.parameters.clientWindowBits, keepsContext: true, resuming: agreed.received)
            // Without it nothing that the peer says can be understood.
            if compression.inflater == nil { return false }
        }
        if compression.keepsSentContext, !agreed.sent.isEmpty {
            compression.deflater = Deflater(
                compression.deflaterConfiguration, keepsContext: true, resuming: agreed.sent)
        }
        peer.pointee.begin(compression)
        return true
    }

    private func request(
        of peer: ConnectionPointer, _ record: ConnectionRecord, _ binding: UnsafeMutablePointer<Binding>
    ) -> Exchange? {
        let http2 = record.peer.relay?.http2
        guard let exchange = unsafe record.handler?.request?.exchange(binding, http2: http2) else { return nil }
        exchange.record.fill(
            exchange, id: peer.pointee.id.number, route: unsafe binding.pointee.route.name,
            peer: peer.pointee.peerAddress, local: peer.pointee.localAddress,
            isSecure: peer.pointee.rareState?.isSecure ?? false, security: peer.pointee.security)
        let chosen = exchange.handshake?.subprotocols.first { range in
            record.route?.subprotocol.map { $0.utf8.elementsEqual(exchange.head.bytes[range]) } ?? false
        }
        if let chosen { exchange.record.setSubprotocol(chosen, of: exchange) }
        peer.pointee.exchange = exchange
        return exchange
    }

    /// Other threads find the connection from here on.
    private func publish(
        _ peer: ConnectionPointer, _ times: TimeRecord, _ binding: UnsafeMutablePointer<Binding>, on worker: Worker
    ) {
        let (table, slot) = (worker.port.sharedTable, peer.pointee.slot)
        unsafe table.post(
            peer.pointee.id, binding: binding, openedAt: worker.now &- Self.ticks(times.openedAgo))
        table[slot].lastIn.store(worker.now &- Self.ticks(times.lastInAgo), ordering: .relaxed)
        table[slot].lastOut.store(worker.now &- Self.ticks(times.lastOutAgo), ordering: .relaxed)
        table[slot].roundTripMicroseconds.store(times.roundTripMicroseconds, ordering: .relaxed)
        // Before the first tick there is none: one that has been silent for longer has a little more time.
        let silence = Self.ticks(times.lastMessageAgo)
        peer.pointee.lastMessage = worker.now > silence ? worker.now - silence : 1
        let interval = unsafe binding.pointee.limits.pingInterval
        (peer.pointee.pingStamp, peer.pointee.pingDue) = (times.pingStamp, tick(in: times.pingIn, on: worker))
        if times.isPinged { peer.pointee.flags.insert(.pinged) }
        if interval == 0 {
            peer.pointee.pingDue = 0
        } else if peer.pointee.pingDue == 0 {
            peer.pointee.pingDue = worker.now &+ interval
        }
    }

    /// Makes the connection a member of its topics, and gives it what this process has published and sent meanwhile.
    ///
    /// - Returns: what else handlers of this process have asked of it meanwhile.
    private func join(
        _ peer: ConnectionPointer, _ handler: HandlerRecord?, _ received: UInt64, on worker: Worker
    ) -> [SuccessionErrand] {
        let mail = worker.server.succession
        let missed = mail.locked { state in
            for record in handler?.topics ?? [] {
                worker.port.sharedTable[peer.pointee.slot].topics.add(1, ordering: .relaxed)
                let topic = worker.server.topics.join(record.key, worker: Int(worker.port.index))
                worker.pubSub.subscribe(peer, topic, on: worker)
            }
            return state.backlog(behind: received, before: worker.mailbox.firstNumber(on: worker) ?? .max)
        }
        let topics = handler?.topics.map(\.key) ?? []
        var rest: [SuccessionErrand] = []
        for item in missed {
            switch item {
            case .publication(let publication):
                guard topics.contains(publication.key), publication.except != peer.pointee.id.number else { continue }
                let head: UInt8 = (publication.isText ? 0x81 : 0x82) | (publication.isPlain ? WorkerMessage.plain : 0)
                worker.mailbox.queue(head: head, publication.payload, to: peer, on: worker)
            case .errand(let errand) where errand.connection == peer.pointee.id.number:
                if errand.isFrame { errand.perform(on: peer, worker) } else { rest.append(errand) }
            case .errand, .known, .shareTopic, .topicShared, .confirmTopics, .received, .connection, .reserved: continue
            }
        }
        return rest
    }

    private func resumeTimers(
        _ peer: ConnectionPointer, _ handler: HandlerRecord?, _ binding: UnsafeMutablePointer<Binding>,
        on worker: Worker
    ) {
        let now = worker.clock()
        for record in handler?.timers ?? [] {
            let timer = TimerRegistry.Timer(
                instanceContext: unsafe binding.pointee.instanceContext, connection: peer.pointee.id.number,
                token: record.token, interval: record.interval)
            worker.port.timers.resume(timer, as: record.number, due: now.addingClamped(record.dueIn))
        }
    }

    // MARK: Its handler

    /// Has the handler go on with it; if it does not, the connection is told so.
    private func restore(
        _ peer: ConnectionPointer, _ record: ConnectionRecord, _ binding: UnsafeMutablePointer<Binding>,
        _ exchange: Exchange?, on worker: Worker
    ) {
        let saved = record.handler?.state
        guard unsafe saved != nil || binding.pointee.has(GW_HF_STATELESS) else {
            return giveUp(peer, "it comes without a state, and its handler has one", on: worker)
        }
        if worker.makeCallbackQueue(peer), let callbacks = peer.pointee.rareState?.callbacks {
            if let exchange { callbacks.kept.withLock { $0 = RetainedExchange(exchange) } }
            if record.input.isReadingOff { callbacks.setPaused(true) }
            // What comes for it meanwhile waits behind that.
            if let saved {
                worker.ledger?.noteRestoring(peer, saved)
                worker.enqueue(peer, callbacks, .restore(saved))
            } else {
                noteTaken(peer, on: worker)
            }
            holdQueue(peer, callbacks, record.input, on: worker)
        } else {
            var state: UnsafeMutableRawPointer?
            let runner = unsafe LoopRunner(worker: worker, peer: peer, binding: binding)
            let isRestored = unsafe saved?.withView { unsafe runner.restore(binding, &$0, exchange, &state) } ?? true
            guard isRestored else { return giveUp(peer, Self.refusal, on: worker) }
            unsafe peer.pointee.state = unsafe state
            noteTaken(peer, on: worker)
        }
        // What the handler did meanwhile leaves its state with it.
        peer.pointee.flags.insert(.opened)
        worker.counters(peer)?.open.count()
        guard peer.pointee.phase == .open else { return }
        if record.input.isReadingOff { worker.setReading(peer, false) }
        deliver(record.input.queued, to: peer, on: worker)
        guard peer.pointee.phase == .open else { return }
        unsafe resumeMessage(peer, record.input, binding, on: worker)
    }

    /// Those that were counted when they came are going to come to the pool once more; where connections wait for each
    /// other, so does that.
    private func holdQueue(
        _ peer: ConnectionPointer, _ callbacks: CallbackQueue, _ input: InputRecord, on worker: Worker
    ) {
        guard !input.queued.isEmpty else { return }
        callbacks.recording?.expect(input.queuedMessages)
        guard worker.server.firstProcess?.isGathering.load(ordering: .acquiring) ?? false else { return }
        callbacks.holdInput()
        peer.pointee.flags.insert(.poolThrottled)
    }

    /// What the handler had not been given, or not to the end, in the process before.
    private func deliver(_ queued: [QueuedInput], to peer: ConnectionPointer, on worker: Worker) {
        guard let binding = unsafe peer.pointee.binding else { return }
        for each in queued where peer.pointee.phase == .open {
            if let call = each.call {
                guard unsafe call.isHeard(by: binding.pointee.handler) else { continue }
                if let callbacks = peer.pointee.rareState?.callbacks {
                    worker.enqueue(peer, callbacks, .call(call))
                } else {
                    unsafe call.perform(on: LoopRunner(worker: worker, peer: peer, binding: binding))
                }
            } else if each.kind == .close {
                unsafe each.payload.withUnsafeBytes { unsafe worker.closer.closeReceived(peer, $0, on: worker) }
            }
        }
    }

    private static let refusal = "its handler does not take it over"

    private func noteTaken(_ peer: ConnectionPointer, on worker: Worker) {
        worker.counters(peer)?.moved.count()
        worker.server.succession.counters.taken.add(1, ordering: .relaxed)
    }

    /// A handler on the pool has taken a connection over, or has not.
    func finishRestore(_ callbacks: CallbackQueue, _ isRestored: Bool, on worker: Worker) {
        guard let peer = worker.table.find(slot: callbacks.id.slot, serial: callbacks.id.serial),
            peer.pointee.rareState?.callbacks === callbacks
        else { return }
        if isRestored { return noteTaken(peer, on: worker) }
        if peer.pointee.flags.contains(.opened) {
            peer.pointee.flags.remove(.opened)
            worker.counters(peer)?.open.uncount()
        }
        giveUp(peer, Self.refusal, on: worker)
    }

    /// The connection is told that nobody goes on with it, and no handler hears of its end.
    private func giveUp(_ peer: ConnectionPointer, _ why: String, on worker: Worker) {
        fail("connection \(String(peer.pointee.id.number, radix: 16)): \(why)", on: worker)
        worker.closer.beginClosing(
            peer, code: CloseCode.serviceRestart, reason: reason(on: worker), by: UInt16(GW_BY_RELOAD), on: worker)
        peer.pointee.ownRareState.isEndUntold = true
    }

    /// Puts the message back that has come by half; only now can the connection fail over it.
    private func resumeMessage(
        _ peer: ConnectionPointer, _ input: InputRecord, _ binding: UnsafeMutablePointer<Binding>, on worker: Worker
    ) {
        let isText = unsafe input.frames.kind == .text && !binding.pointee.has(GW_HF_NO_UTF8)
        if let assembler = MessageAssembler(resuming: input.message, isText: isText) {
            peer.pointee.assembler = assembler
        } else {
            worker.closer.fail(peer, .invalidUTF8, on: worker)
        }
    }

    // MARK: Times

    /// A span of a record in ticks, rounded up.
    private static func ticks(_ milliseconds: UInt64) -> UInt32 {
        milliseconds == 0 ? 0 : TimerWheel.ticks(milliseconds: Int64(clamping: milliseconds))
    }

    /// When a span is over; 0 for never.
    private func tick(in milliseconds: UInt64?, on worker: Worker) -> UInt32 {
        milliseconds.map { worker.now &+ max(1, Self.ticks($0)) } ?? 0
    }
}

extension UInt64 {
    fileprivate func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        // The registry has no timer at the end of time.
        return overflows || sum == .max ? .max - 1 : sum
    }
}

extension CountedTraffic {
    /// Of a connection that comes from another process, whose traffic has been counted there.
    init(_ connection: borrowing Connection, uncounted: UInt32) {
        self.init()
        messagesIn = UInt32(truncatingIfNeeded: connection.messagesIn)
        messagesOut = UInt32(truncatingIfNeeded: connection.messagesOut)
        bytesIn = UInt32(truncatingIfNeeded: connection.bytesIn)
        bytesOut = UInt32(truncatingIfNeeded: connection.bytesOut) &+ uncounted
    }
}

extension StateRecord {
    /// Makes it as handlers see it, for the length of `body`.
    func withView<Result>(_ body: (inout gw_saved) -> Result) -> Result {
        unsafe data.withUnsafeBytes { bytes in
            var saved = unsafe gw_saved(
                struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: version, state_format: format,
                generation: generation, data: gw_bytes(bytes),
                flags: isCheckpoint ? UInt32(GW_SAVED_CHECKPOINT) : 0, reserved0: 0)
            return unsafe body(&saved)
        }
    }
}
