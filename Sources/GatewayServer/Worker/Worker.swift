import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import Glibc
import HTTP
import Synchronization

/// One thread with its event loop, its connections and everything they need; nothing in it takes a lock.
///
///     wait ─▶ events ─▶ messages ─▶ held input ─▶ output of the turn ─▶ deadlines ─▶ teardowns ─▶ wait
///
/// Callbacks of handlers run inside a turn. What they ask for through host functions is only noted down (queued
/// output, a phase, an entry in a list), so no callback ever runs inside another one.
@safe final class Worker {
    /// Tokens of the poller that are no connection's.
    enum Special {
        static let waker = UInt32.max
        static let firstListener: UInt32 = 0xFF00_0000
        /// Of the pair that a connection is relayed through: together with its slot, all of which are below.
        static let firstRelay: UInt32 = 0x8000_0000
    }

    let port: WorkerPort
    let server: ServerContext
    let poller: Poller
    let pool = BlockPool()
    let input = ReadBuffer()
    var table: ConnectionTable
    /// The routes as this worker knows them; replaced by message.
    var routing: RoutingTable

    /// Ticks since the gateway started, and the clock they were read from; once a turn.
    var now: UInt32 = 1
    var nowNanoseconds: UInt64
    /// What the clock says in the middle of a turn.
    let clock: () -> UInt64
    private var idle = BusyPollWindow()
    var running = RunningCallback()
    var activity = Activity()
    /// Memory of the last large messages, kept for the next ones.
    var largeBuffers = LargeBufferCache()

    let acceptor: Acceptor
    let handshakes = HandshakeTurns()
    let responder = RequestResponder()
    let closer = ConnectionCloser()
    let http2 = HTTP2Connections()
    let slowConsumers = SlowConsumers()
    let timers: ConnectionTimers
    let gauge = MemoryGauge()
    let pubSub = PubSub()
    let compressor = MessageCompressor()
    let tracing = FrameTracing()
    let events = HandlerEvents()
    let mailbox = MailboxReader()
    let migrator = ConnectionMigrator()
    let departures = Departures()
    let exporter = ConnectionExporter()
    let importer = ConnectionImporter()
    let away = AwayConnections()
    let relays = RelayedConnections()
    /// What another process is to know of the connections; nil where none goes on with them.
    let ledger: LedgerPage?

    /// Slots with output of this turn.
    var dirty: [UInt32] = []
    /// Slots whose held input may go on.
    var resumed: [UInt32] = []
    private(set) var isStopping = false
    private(set) var stopDeadline: UInt32 = 0

    /// - Parameter clock: monotonic nanoseconds; of tests, one that stands still.
    init(
        port: WorkerPort, server: ServerContext, listeners: Listeners, capacity: Int,
        clock: @escaping () -> UInt64 = Clock.monotonicNanoseconds
    ) throws(Errno) {
        let ledger = server.ledger?.page(of: Int(port.index))
        guard let table = ConnectionTable(capacity: capacity, isRecorded: ledger != nil),
            let timers = ConnectionTimers(capacity: capacity),
            (ledger == nil) == (server.ledger == nil)
        else { throw Errno(ENOMEM) }
        self.ledger = ledger
        self.port = port
        self.server = server
        self.clock = clock
        self.table = table
        self.timers = timers
        acceptor = Acceptor(listeners)
        poller = try Poller()
        nowNanoseconds = server.startedAt
        routing = server.routing
        try poller.add(port.waker.number, token: UInt64(Special.waker), interest: .readable)
        try acceptor.watchListeners(on: self)
        gauge.follow(on: self)
        if ledger != nil { port.changes.begin() }
    }

    /// Nothing that is asked for now is served.
    var isEnding: Bool { isStopping || server.isDraining.load(ordering: .relaxed) }

    /// The configuration was read again.
    func follow(_ table: RoutingTable) {
        routing = table
        gauge.follow(on: self)
    }

    /// Serves no new peer and asks those that are here to go.
    func beginStopping() {
        if isStopping { return }
        isStopping = true
        acceptor.stop(on: self)
        stopDeadline = now + closer.sendAllAway(on: self) + TimerWheel.ticks(milliseconds: 500)
    }

    /// Runs until it was told to stop and the last connection is gone.
    func run() {
        unsafe clinux_set_worker(Unmanaged.passUnretained(self).toOpaque())
        defer { clinux_set_worker(nil) }
        server.stallWatch?.enter(worker: port.index)
        defer { server.stallWatch?.leave(worker: port.index) }
        ledger?.join(on: self)
        defer { clinux_leave_endings() }
        while !isFinished { turn() }
        // What came meanwhile finds no connection, but descriptors and shared bytes in it have to be let go of.
        mailbox.drain(on: self)
        events.runPending(on: self)
    }

    /// The end of a job is never dropped, and a call on the pool may want something of the worker, so its thread has to
    /// be here for it, for as long as it may take at most.
    private var isFinished: Bool {
        guard isStopping, table.count == 0 else { return false }
        let outstanding =
            server.jobs.outstanding.load(ordering: .acquiring)
            + server.dispatchPool.outstanding.load(ordering: .acquiring)
        return outstanding == 0 || now >= stopDeadline &+ Self.jobPatience
    }

    /// How long jobs may go on when the last connection has gone.
    private static let jobPatience = TimerWheel.ticks(milliseconds: 10_000)

    private func turn() {
        let count = wait(milliseconds: patience)
        ledger?.restIfEnding(on: self)
        work(on: count, at: Clock.monotonicNanoseconds())
    }

    /// Waits for events; nil for as long as it takes.
    ///
    /// - Returns: how many there are.
    @inline(__always)
    func wait(milliseconds: Int32?) -> Int {
        do throws(Errno) {
            return try poller.wait(milliseconds: milliseconds)
        } catch {
            // Nothing but a broken descriptor of our own can do this, and no turn can be made without it.
            fatalError("worker \(port.index): epoll_wait: \(error)")
        }
    }

    /// What a turn does with its events.
    ///
    /// - Parameter nanoseconds: the monotonic clock.
    @inline(__always)
    func work(on count: Int, at nanoseconds: UInt64) {
        nowNanoseconds = nanoseconds
        now = server.tick(at: nanoseconds)
        idle.note(events: count, now: nowNanoseconds)
        if activity.tick != now { countActivity() }
        if let ledger {
            for index in 0..<count { dispatch(poller[index], noting: ledger) }
        } else {
            for index in 0..<count { dispatch(poller[index], ledger: nil) }
        }
        resume()
        events.runPending(on: self)
        events.fireTimers(on: self)
        flushDirty()
        acceptor.listenAgain(on: self)
        timers.expireDue(on: self)
        migrator.continueHandovers(on: self)
        flushDirty()
        closer.reap(on: self)
        ledger?.settle(on: self)
        if isStopping, now >= stopDeadline { closer.dropAll(on: self) }
    }

    /// How long the poller may sleep, in milliseconds; nil for as long as it likes.
    var patience: Int32? {
        if !resumed.isEmpty || !dirty.isEmpty || closer.hasWork || pubSub.batch.isOpen || !events.isEmpty { return 0 }
        if http2.hasWork { return 0 }
        if idle.looksAgain(for: routing.busyPoll, now: nowNanoseconds) { return 0 }
        var ticks = timers.ticksUntilNext
        if !activity.isEmpty { ticks = min(ticks ?? 1, 1) }
        if isStopping { ticks = min(ticks ?? 8, 8) }
        if let wish = migrator.patience(now: now) { ticks = min(ticks ?? wish, wish) }
        if let again = acceptor.listenAgainAt { ticks = min(ticks ?? .max, again > now ? again - now : 1) }
        let milliseconds = ticks.map { Int32(clamping: Int64($0) * Int64(TimerWheel.tickMilliseconds)) }
        guard let timer = events.timerPatience(on: self) else { return milliseconds }
        return min(milliseconds ?? timer, timer)
    }

    @inline(__always)
    private func dispatch(_ event: Poller.Event, ledger: LedgerPage?) {
        let slot = UInt32(truncatingIfNeeded: event.token)
        let serial = UInt32(truncatingIfNeeded: event.token >> 32)
        if slot >= Special.firstRelay {
            if slot == Special.waker { return mailbox.drain(on: self) }
            if slot >= Special.firstListener {
                return acceptor.acceptPeers(Int(slot - Special.firstListener), on: self)
            }
            return relays.ready(slot: slot - Special.firstRelay, serial: serial, event, on: self)
        }
        // The token of a peer that left in this turn finds no connection: its event is void.
        guard let peer = table.find(slot: slot, serial: serial) else { return }
        if event.isWritable { writable(peer) }
        guard event.isReadable else { return }
        if let ledger {
            readable(peer, hangUp: event.isHangUp, noting: ledger)
        } else {
            readable(peer, hangUp: event.isHangUp)
        }
    }

    /// The same where what becomes of each connection is written down before the next one has its turn.
    private func dispatch(_ event: Poller.Event, noting ledger: LedgerPage) {
        let (slot, serial) = (UInt32(truncatingIfNeeded: event.token), UInt32(truncatingIfNeeded: event.token >> 32))
        if let peer = table.find(slot: slot, serial: serial) { ledger.begin(peer, reads: event.isReadable) }
        dispatch(event, ledger: ledger)
        ledger.settle(on: self)
        ledger.restIfEnding(on: self)
    }

    /// Input that was held back and may go on, without waiting for more from the socket.
    private func resume() {
        if resumed.isEmpty { return }
        let slots = resumed
        resumed.removeAll(keepingCapacity: true)
        for slot in slots {
            guard let peer = table.occupant(slot), peer.pointee.flags.contains(.resumed) else { continue }
            peer.pointee.flags.remove(.resumed)
            if peer.pointee.phase == .away {
                away.give(peer, on: self)
                relays.resume(peer, on: self)
                continue
            }
            ledger?.begin(peer)
            processLeftover(peer)
            if !peer.pointee.transport.isPlain, peer.pointee.transport.hasInput, peer.pointee.phase != .gone,
                peer.pointee.mayRead
            {
                if let ledger { readable(peer, hangUp: false, noting: ledger) } else { readable(peer, hangUp: false) }
            }
            ledger?.settle(on: self)
        }
    }

    /// Asks the poller for what the connection waits for now; no call when that has not changed.
    func updateInterest(_ peer: ConnectionPointer) {
        var wanted: Poller.Interest = []
        if peer.pointee.mayRead || peer.pointee.takesRelayedInput, !peer.pointee.flags.contains(.inputEnded) {
            wanted.insert(.readable)
        }
        if peer.pointee.outbox.isBlocked { wanted.insert(.writable) }
        if wanted == peer.pointee.interest { return }
        if wanted.contains(.writable) != peer.pointee.flags.contains(.asksOutput) {
            timers.noteBlocked(peer, wanted.contains(.writable), on: self)
        }
        guard peer.pointee.transport.hasSocket else {
            peer.pointee.interest = wanted
            if wanted.contains(.readable), peer.pointee.transport.hasInput { resumeLater(peer) }
            return
        }
        do throws(Errno) {
            try poller.modify(peer.pointee.transport.number, token: peer.pointee.token, interest: wanted)
            peer.pointee.interest = wanted
        } catch {
            closer.lose(peer, error, on: self)
        }
    }

    // MARK: Callbacks

    /// Has a callback of the connection run, here or on the pool.
    ///
    /// - Returns: whether it has run; false when it waits for a thread of the pool.
    @discardableResult
    @inline(__always)
    func run(_ peer: ConnectionPointer, _ call: HandlerCall<BorrowedBytes>) -> Bool {
        guard let binding = unsafe peer.pointee.binding else { return true }
        if let callbacks = peer.pointee.rareState?.callbacks {
            if unsafe call.isHeard(by: binding.pointee.handler) { enqueue(peer, callbacks, .call(call.kept())) }
            return false
        }
        unsafe call.perform(on: LoopRunner(worker: self, peer: peer, binding: binding))
        return true
    }

    /// Gives the connection a callback queue where its route says so.
    ///
    /// - Returns: whether it has one: its callbacks run on the pool.
    func makeCallbackQueue(_ peer: ConnectionPointer) -> Bool {
        guard let binding = unsafe peer.pointee.binding, unsafe binding.pointee.isPooled else { return false }
        let rareState = peer.pointee.ownRareState
        if rareState.callbacks == nil {
            rareState.callbacks = unsafe CallbackQueue(
                peer.pointee.id, binding, port, server, behind: peer.pointee.messagesIn)
        }
        return true
    }

    /// Puts a call on the connection's callback queue, and holds the peer when too much waits there.
    func enqueue(_ peer: ConnectionPointer, _ callbacks: CallbackQueue, _ call: CallbackQueue.Call) {
        guard let binding = unsafe peer.pointee.binding else { return }
        ledger?.noteQueued(peer, callbacks, call)
        if unsafe callbacks.add(call, room: binding.pointee.limits.highWater), peer.pointee.phase == .open {
            peer.pointee.flags.insert(.throttled)
        }
    }

    /// Has the handler asked about a request; `asked` brings what it returns.
    func askOnPool(_ peer: ConnectionPointer, _ exchange: Exchange) {
        // A handler that blocks for long is one that does not answer.
        unsafe timers.setDeadline(peer, ticks: exchange.binding.pointee.limits.replyTimeout, on: self)
        exchange.isOnPool = exchange.handshake == nil
        run(peer, .ask(RetainedExchange(exchange)))
    }
}
