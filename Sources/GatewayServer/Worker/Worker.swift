import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import Glibc
import HTTP
import Synchronization

/// One thread with its event loop, its connections and everything they need; nothing in it takes a lock.
///
///     wait ─▶ events ─▶ messages ─▶ held input ─▶ output of the turn ─▶ deadlines ─▶ bury the dead ─▶ wait
///
/// Callbacks of handlers run inside a turn. What they ask for through host functions is only noted down (queued
/// output, a phase, an entry in a list), so no callback ever runs inside another one.
@safe final class Worker {
    /// One read takes at most so much; a peer that has more gets another turn.
    static let readSize = 256 * 1024
    /// Room in front of the read buffer for what was left of the last read.
    static let margin = 256

    enum Special {
        static let waker = UInt32.max
        static let firstListener: UInt32 = 0xFF00_0000
    }

    let port: WorkerPort
    let server: ServerContext
    var listeners: Listeners
    let poller: Poller
    let pool = BlockPool()
    let input: UnsafeMutableRawBufferPointer
    let lender: UnsafeMutablePointer<SharedBuffer>
    let message: UnsafeMutablePointer<gw_message>
    var table: ConnectionTable
    var wheel: TimerWheel
    var dates = DateCache()
    var identifiers = UUIDGenerator()

    /// Ticks since the gateway started, and the clock they were read from; once a turn.
    var now: UInt32 = 1
    var nowNanoseconds: UInt64
    var idle = BusyPollWindow()
    /// The connection whose callback runs; 0 when none does.
    var current: UInt64 = 0
    /// Its place; nil when none does.
    var currentPeer: ConnectionPointer?
    /// The host table of whoever may send the message it is given back from where it lies; nil when nobody may.
    var echoHost: UnsafePointer<gw_host>?
    /// As long as no more than so much waits for the connection.
    var echoRoom = 0
    /// The running callback is `restore_conn`.
    var isRestoring = false
    /// The ticket whose callback runs; 0 when none does.
    var currentTicket: UInt64 = 0
    var nextTicket: UInt64 = 0

    /// Topics that connections of this worker are subscribed to.
    var topics: [TopicKey: WorkerTopic] = [:]
    /// What was published in this turn and not sent.
    var batch = PublicationBatch()
    /// Events that callbacks of this thread asked for.
    var pendingEvents: [HandlerEvent] = []
    /// Events for [home] of instances whose `start` has not returned.
    var unopened: [UInt64: [HandlerEvent]] = [:]
    /// The instance that was asked for last.
    var recentInstance: InstanceContext?

    /// Slots with output of this turn.
    var dirty: [UInt32] = []
    /// Slots whose held input may go on.
    var resumed: [UInt32] = []
    /// Slots to be emptied at the end of the turn.
    var closedSlots: [UInt32] = []
    var mail: [WorkerMessage] = []
    /// The first of them that has not been read, and behind the last one whose output has been read before its turn.
    var nextMail = 0
    var mailCaughtUp = 0
    /// Publications or messages are being given to many connections, none of which may end inside that.
    var isDelivering = false
    /// Connections that read too slowly and are closed for it as soon as nothing is being delivered.
    var slowConsumers: [ConnectionID] = []
    var handovers: [HandoverProgress] = []
    let sink: UnsafeMutablePointer<StateSink>
    /// The routes as this worker knows them; replaced by message.
    var routing: RoutingTable
    var due: [UInt32] = []
    /// Memory of the last large messages, kept for the next ones.
    var largeBuffers = LargeBufferCache()
    /// Of the callback that runs, where its handler is watched.
    var callWatch: CallWatch?
    /// What handlers that are watched were lent.
    var poisonedBuffers = PoisonedBuffers()
    /// Scratch for responses.
    var response: [UInt8] = []

    /// When to look at the listeners again after descriptors ran out; nil while they are watched.
    var listenAgainAt: UInt32?
    /// That descriptors ran out has been said, and no peer was accepted since.
    var saidExhausted = false
    var isStopping = false
    var stopDeadline: UInt32 = 0

    init(port: WorkerPort, server: ServerContext, listeners: Listeners, capacity: Int) throws(Errno) {
        guard let table = ConnectionTable(capacity: capacity), let wheel = TimerWheel(capacity: capacity, now: 0)
        else { throw Errno(ENOMEM) }
        self.port = port
        self.server = server
        self.listeners = listeners
        self.table = table
        self.wheel = wheel
        poller = try Poller()
        unsafe input = .allocate(byteCount: Self.margin + Self.readSize, alignment: 64)
        unsafe lender = SharedBuffer.lender()
        unsafe message = .allocate(capacity: 1)
        unsafe message.initialize(to: gw_message())
        unsafe message.pointee.struct_size = UInt32(MemoryLayout<gw_message>.size)
        unsafe message.pointee.buf = OpaquePointer(lender)
        nowNanoseconds = server.startedAt
        routing = server.routing
        unsafe sink = .allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        try poller.add(port.waker.number, token: UInt64(Special.waker), interest: .readable)
        try watchListeners()
    }

    deinit {
        unsafe input.deallocate()
        unsafe lender.deinitialize(count: 1)
        unsafe lender.deallocate()
        unsafe message.deallocate()
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
    }

    /// Runs until it was told to stop and the last connection is gone.
    func run() {
        unsafe clinux_set_worker(Unmanaged.passUnretained(self).toOpaque())
        defer { clinux_set_worker(nil) }
        while !isFinished { turn() }
        // What came meanwhile finds nobody, but descriptors and shared octets in it have to be let go of.
        drainMailbox()
        runPendingEvents()
    }

    /// The end of a job is never dropped, and a call on the pool may want something of us, so somebody has to be here
    /// for it, for as long as it may take at most.
    private var isFinished: Bool {
        guard isStopping, table.count == 0 else { return false }
        let outstanding =
            server.jobs.outstanding.load(ordering: .acquiring) + server.lanes.outstanding.load(ordering: .acquiring)
        return outstanding == 0 || now >= stopDeadline &+ Self.jobPatience
    }

    /// How long jobs may go on when the last connection has gone.
    private static let jobPatience = TimerWheel.ticks(milliseconds: 10_000)

    private func turn() {
        let count: Int
        do throws(Errno) {
            count = try poller.wait(milliseconds: patience)
        } catch {
            // Nothing but a broken descriptor of our own can do this, and no turn can be made without it.
            fatalError("worker \(port.index): epoll_wait: \(error)")
        }
        readClock()
        idle.note(events: count, now: nowNanoseconds)
        for index in 0..<count { dispatch(poller[index]) }
        resume()
        runPendingEvents()
        fireTimers()
        flushDirty()
        expireDue()
        continueHandovers()
        flushDirty()
        reap()
    }

    /// How long the poller may sleep.
    private var patience: Int32? {
        if !resumed.isEmpty || !dirty.isEmpty || !closedSlots.isEmpty || batch.isOpen || !pendingEvents.isEmpty
            || !slowConsumers.isEmpty
        {
            return 0
        }
        if idle.looksAgain(for: routing.busyPoll, now: nowNanoseconds) { return 0 }
        var ticks = wheel.ticksUntilNext()
        if isStopping { ticks = min(ticks ?? 8, 8) }
        if let wish = handoverPatience { ticks = min(ticks ?? wish, wish) }
        if let again = listenAgainAt { ticks = min(ticks ?? .max, again > now ? again - now : 1) }
        let milliseconds = ticks.map { Int32(clamping: Int64($0) * Int64(TimerWheel.tickMilliseconds)) }
        guard let timer = timerPatience else { return milliseconds }
        return min(milliseconds ?? timer, timer)
    }

    func readClock() {
        nowNanoseconds = Clock.monotonicNanoseconds()
        now = server.tick(at: nowNanoseconds)
    }

    @inline(__always)
    private func dispatch(_ event: Poller.Event) {
        let slot = UInt32(truncatingIfNeeded: event.token)
        if slot >= Special.firstListener {
            if slot == Special.waker { drainMailbox() } else { acceptPeers(Int(slot - Special.firstListener)) }
            return
        }
        // A token of a peer that left in this turn finds nobody: its event is void.
        guard let peer = table.find(slot: slot, serial: UInt32(truncatingIfNeeded: event.token >> 32)) else { return }
        if event.isWritable { writable(peer) }
        if event.isReadable { readable(peer, hangUp: event.isHangUp) }
    }

    private func expireDue() {
        if let again = listenAgainAt, now >= again { resumeListening() }
        wheel.advance(to: now, due: &due)
        if due.isEmpty { return }
        for slot in due {
            if let peer = table.occupant(slot) { expire(peer) }
        }
        due.removeAll(keepingCapacity: true)
    }

    /// Input that was held back and may go on, without waiting for more from the socket.
    private func resume() {
        if resumed.isEmpty { return }
        let slots = resumed
        resumed.removeAll(keepingCapacity: true)
        for slot in slots {
            guard let peer = table.occupant(slot), peer.pointee.flags.contains(.resumed) else { continue }
            peer.pointee.flags.remove(.resumed)
            processLeftover(peer)
            if !peer.pointee.transport.isPlain, peer.pointee.transport.hasInput, peer.pointee.phase != .gone,
                peer.pointee.mayRead
            {
                readable(peer, hangUp: false)
            }
        }
    }

    /// Empties the slots of those who are gone; whoever was opened hears `close` now at the latest.
    private func reap() {
        var index = 0
        while index < closedSlots.count {
            if let peer = table.occupant(closedSlots[index]), peer.pointee.phase == .gone { remove(peer) }
            index += 1
        }
        if index > 0 { closedSlots.removeAll(keepingCapacity: true) }
        if isStopping, now >= stopDeadline { dropEverybody() }
    }

    private func remove(_ peer: ConnectionPointer) {
        sayClosed(peer)
        if let exchange = peer.pointee.exchange { _ = server.pendingReplies.close(exchange.ticket) }
        unbind(peer)
        wheel.cancel(peer.pointee.slot)
        peer.pointee.outbox.removeAll(pool: pool)
        leaveTopics(peer)
        peer.pointee.rareState?.held.removeAll(pool: pool)
        port.sharedTable[peer.pointee.slot].note(queued: 0)
        port.sharedTable.clear(peer.pointee.slot)
        uncount(isSurplus: peer.pointee.flags.contains(.surplus))
        table.remove(peer.pointee.slot)
    }

    /// Asks the poller for what the connection waits for now; no call when that has not changed.
    func updateInterest(_ peer: ConnectionPointer) {
        var wanted: Poller.Interest = []
        if peer.pointee.mayRead, !peer.pointee.flags.contains(.inputEnded) { wanted.insert(.readable) }
        if peer.pointee.flags.contains(.blocked) { wanted.insert(.writable) }
        if wanted == peer.pointee.interest { return }
        do throws(Errno) {
            try poller.modify(peer.pointee.transport.number, token: peer.pointee.token, interest: wanted)
            peer.pointee.interest = wanted
        } catch {
            lose(peer, error)
        }
    }
}
