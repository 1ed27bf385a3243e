import Bytes
import CGatewayABI
import CLinux
import HandlerModules
import Synchronization

/// The callbacks of one connection on a route with `dispatch pool`: the worker puts them in, threads of the pool take
/// them out, one at a time and in order.
///
///     worker ─ add ─▶ [ input: messages, pings, pongs ]      ─▶ thread of the pool ─▶ handler
///                     [ rest: open, events, drained, close ]          │
///       ▲                                                             │
///       └────────────────────── messages ◀────────── host functions ───┘
///
/// It outlives the connection's slot until `close` has run, and counts at its instance for as long as it lives. What it
/// says of the handler (`binding`, `state`) is touched by the call that runs, and by no other thread meanwhile.
final class CallbackQueue: Sendable {
    /// Messages, pings and pongs that may wait; with more of them the peer is not read from.
    static let mostInput = 256
    /// So many calls at a time, then others have their turn.
    static let batch = 32

    /// What a thread of the pool is to do.
    enum Call: Sendable {
        case call(HandlerCall<[UInt8]>)
        /// The peer's Close came behind what it sent before: the worker answers it when that has been delivered.
        case peerClosed
        /// The connection goes to another instance.
        case move(Handover)
        /// The connection may go to another process.
        case save(ConnectionTransfer, isStateless: Bool)
        /// It has gone there.
        case drop
        /// It has come from there.
        case restore(StateRecord)
        /// The handler saves what it knows, for the case that this process dies.
        case checkpoint

        var isInput: Bool {
            switch self {
            case .call(let call): call.isInput
            case .peerClosed: true
            case .move, .save, .drop, .restore, .checkpoint: false
            }
        }

        var weight: Int { if case .call(let call) = self { call.weight } else { 0 } }
    }

    private struct Entry {
        let number: UInt64
        let call: Call
    }

    private struct Queue {
        var input = Fifo<Entry>()
        var rest = Fifo<Entry>()
        var last: UInt64 = 0
        /// Bytes in `input`.
        var bytes = 0
        /// More bytes are too many.
        var room = 0
        /// The queue is with the pool, or on one of its threads.
        var isActive = false
        /// The handler has switched reading off: input waits, the rest goes on.
        var isPaused = false
        /// The worker does not read the peer.
        var isHolding = false
        /// Too much waits for the peer to read: input waits, as it does on a loop.
        var isThrottled = false
        /// The connection has ended: what it still hears is not held back.
        var isEnding = false

        var takesInput: Bool { !isPaused && !isThrottled }
        var canGoOn: Bool { !rest.isEmpty || takesInput && !input.isEmpty }
        /// The next call is one that input may be held back at.
        var isInputNext: Bool { takesInput && (input.first?.number ?? .max) < (rest.first?.number ?? .max) }
        var isFull: Bool { input.count > CallbackQueue.mostInput || bytes > room }
        var isEased: Bool { input.count <= CallbackQueue.mostInput / 2 && bytes <= room / 2 }

        mutating func append(_ call: Call) {
            last += 1
            let entry = Entry(number: last, call: call)
            if call.isInput { input.append(entry) } else { rest.append(entry) }
            bytes += call.weight
            if case .call(.close) = call { (isEnding, isThrottled) = (true, false) }
        }

        mutating func popFirst() -> Call? {
            guard let call = isInputNext ? input.popFirst()?.call : rest.popFirst()?.call else { return nil }
            bytes -= call.weight
            return call
        }
    }

    let id: ConnectionID
    let port: WorkerPort
    let server: ServerContext
    private let queue = Mutex(Queue())
    private let bindingAddress: Atomic<UInt>
    /// The handler's state pointer.
    let stateAddress = Atomic<UInt>(0)
    /// The handler has closed it: what the peer sent before is not delivered any more.
    let isCutOff = Atomic<Bool>(false)
    /// The handler has not taken it over from another process: it hears nothing of it.
    let isUnknown = Atomic<Bool>(false)
    /// The connection that the running callback may name; 0 for none.
    let current = Atomic<UInt64>(0)
    /// The running callback is `restore_conn`.
    let restores = Atomic<Bool>(false)
    /// Where the connection is written down.
    let recording: PoolRecording?
    /// The handshake, for GW_HF_KEEP_REQUEST.
    let kept = Mutex<RetainedExchange?>(nil)
    /// The address of what messages are lent with.
    private let borrowedBufferAddress: UInt
    private let messageAddress: UInt

    /// - Parameter messages: how many of the connection have come before.
    init(
        _ id: ConnectionID, _ binding: UnsafeMutablePointer<Binding>, _ port: WorkerPort, _ server: ServerContext,
        behind messages: UInt64
    ) {
        self.id = id
        self.port = port
        self.server = server
        recording = server.ledger.map { PoolRecording(of: id, in: $0, behind: messages) }
        bindingAddress = Atomic(UInt(bitPattern: binding))
        let borrowedBuffer = unsafe SharedBuffer.borrowed()
        borrowedBufferAddress = UInt(bitPattern: borrowedBuffer)
        let message = UnsafeMutablePointer<gw_message>.allocate(capacity: 1)
        unsafe message.initialize(to: gw_message())
        unsafe message.pointee.struct_size = UInt32(MemoryLayout<gw_message>.size)
        unsafe message.pointee.buf = OpaquePointer(borrowedBuffer)
        messageAddress = UInt(bitPattern: message)
        unsafe binding.pointee.instanceContext.callbackQueues.add(1, ordering: .relaxed)
    }

    deinit {
        unsafe message.deallocate()
        unsafe borrowedBuffer.deinitialize(count: 1)
        unsafe borrowedBuffer.deallocate()
        // Releasing: the instance may be stopped by a thread that sees nothing left.
        unsafe binding.pointee.instanceContext.callbackQueues.subtract(1, ordering: .releasing)
    }

    /// The route and instance whose callbacks are called.
    var binding: UnsafeMutablePointer<Binding> {
        // Bindings are never freed.
        guard
            let binding = unsafe UnsafeMutablePointer<Binding>(
                bitPattern: bindingAddress.load(ordering: .acquiring))
        else { preconditionFailure("a callbacks without a binding") }
        return unsafe binding
    }

    var borrowedBuffer: UnsafeMutablePointer<SharedBuffer> {
        guard let borrowedBuffer = unsafe UnsafeMutablePointer<SharedBuffer>(bitPattern: borrowedBufferAddress) else {
            preconditionFailure("a callbacks without a borrowedBuffer")
        }
        return unsafe borrowedBuffer
    }

    var message: UnsafeMutablePointer<gw_message> {
        guard let message = unsafe UnsafeMutablePointer<gw_message>(bitPattern: messageAddress) else {
            preconditionFailure("a callbacks without a message")
        }
        return unsafe message
    }

    /// Calls go to another instance from here on; the worker that asked for that has counted the callback queue there.
    func rebind(to next: UnsafeMutablePointer<Binding>) {
        let former = unsafe binding.pointee.instanceContext
        bindingAddress.store(UInt(bitPattern: next), ordering: .releasing)
        former.callbackQueues.subtract(1, ordering: .releasing)
    }

    // MARK: Putting in

    /// Worker: puts a call behind the others.
    ///
    /// - Parameter room: how many bytes of input may wait.
    /// - Returns: whether too much waits, and the peer is to be held until `poolEased` comes.
    func add(_ call: Call, room: Int) -> Bool {
        let (begins, isFull) = queue.withLock { queue in
            queue.append(call)
            queue.room = room
            if call.isInput, queue.isFull { queue.isHolding = true }
            return (Self.activate(&queue), queue.isHolding)
        }
        if begins { begin() }
        return isFull
    }

    private static func activate(_ queue: inout Queue) -> Bool {
        guard !queue.isActive, queue.canGoOn else { return false }
        queue.isActive = true
        return true
    }

    private func begin() {
        server.dispatchPool.outstanding.add(1, ordering: .relaxed)
        submit()
    }

    private func submit() {
        if unsafe binding.pointee.has(GW_HF_SERIAL) {
            unsafe binding.pointee.instanceContext.serialGroup.add(self)
        } else {
            server.dispatchPool.submit(.queue(self))
        }
    }

    /// Input waits, or goes on. Any thread.
    func setPaused(_ isPaused: Bool) {
        let begins = queue.withLock { queue in
            queue.isPaused = isPaused
            return Self.activate(&queue)
        }
        if begins { begin() }
    }

    /// Whether more than so much waits for the peer.
    private func hasMuchUnsent(_ room: Int) -> Bool {
        port.sharedTable.isOpen(id) && Int(port.sharedTable[id.slot].waiting.load(ordering: .relaxed)) > room
    }

    /// Worker, before anything is put in: input waits for `deliverOn`.
    func holdInput() { queue.withLock { $0.isThrottled = true } }

    /// Worker: the peer has read, input is delivered again.
    func deliverOn() {
        let begins = queue.withLock { queue in
            queue.isThrottled = false
            return Self.activate(&queue)
        }
        if begins { begin() }
    }

    /// The worker has seen to a move: calls behind it go on.
    func resume() { submit() }

    /// Something of what the peer sent runs, or waits.
    var isBusy: Bool { queue.withLock { $0.isActive || !$0.input.isEmpty } }
    /// Nothing of it runs or could run.
    var isQuiet: Bool { queue.withLock { !$0.isActive } }
    /// Something waits behind the call that runs.
    var hasMore: Bool { queue.withLock { !$0.rest.isEmpty || !$0.input.isEmpty } }
    /// Input that the handler does not want yet.
    var hasInput: Bool { queue.withLock { !$0.input.isEmpty } }
    /// The peer is not read from because too much waits.
    var isHolding: Bool { queue.withLock { $0.isHolding } }

    // MARK: Taking out

    /// A thread of the pool: runs some calls.
    ///
    /// - Returns: whether there are more.
    func run() -> Bool {
        if let recording { return run(noting: recording) }
        for _ in 0..<Self.batch {
            guard let call = next() else { return false }
            guard carryOut(call) else { return false }
        }
        return true
    }

    /// - Returns: false when the queue rests until the worker has seen to something.
    @inline(__always)
    func carryOut(_ call: Call) -> Bool {
        switch call {
        case .call(let call): perform(call)
        case .peerClosed: port.post(.poolReachedClose(id))
        case .move(let handover):
            move(handover)
            return false
        case .save(let transfer, let isStateless):
            save(for: transfer, isStateless: isStateless)
            return false
        case .drop: drop()
        case .restore(let saved): restore(saved)
        // Where something is written down: what the handler saves goes with the end of the call.
        case .checkpoint: break
        }
        return true
    }

    /// The next call; nil, and the queue is the pool's no longer, when there is none.
    func next() -> Call? {
        let (call, isEased, isThrottled) = queue.withLock { queue -> (Call?, Bool, Bool) in
            let isThrottled = queue.isInputNext && !queue.isEnding && hasMuchUnsent(queue.room)
            if isThrottled { queue.isThrottled = true }
            let call = queue.popFirst() ?? ownCheckpoint
            if call == nil { queue.isActive = false }
            if let recording, let call { recording.note(call) }
            let isEased = queue.isHolding && queue.isEased
            if isEased { queue.isHolding = false }
            return (call, isEased, isThrottled)
        }
        if isEased { port.post(.poolEased(id)) }
        // Behind the frames that are too many.
        if isThrottled { port.post(.poolThrottled(id)) }
        if call == nil { server.dispatchPool.outstanding.subtract(1, ordering: .releasing) }
        return call
    }

    /// Of its own accord, when nothing else is left to do.
    private var ownCheckpoint: Call? {
        guard let recording, unsafe recording.saves(binding.pointee.limits.checkpoint) else { return nil }
        return .checkpoint
    }
}
