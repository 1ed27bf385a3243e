import Bytes
import CGatewayABI
import CLinux
import HandlerModules

extension Worker {
    /// Has a callback of the connection run, here or on the pool.
    ///
    /// - Returns: whether it has run; false when it waits for a thread of the pool.
    @discardableResult
    @inline(__always)
    func run(_ peer: ConnectionPointer, _ call: HandlerCall<BorrowedBytes>) -> Bool {
        guard let binding = unsafe peer.pointee.binding else { return true }
        if let lane = peer.pointee.rareState?.lane {
            if unsafe call.isHeard(by: binding.pointee.handler) { enqueue(peer, lane, .call(call.kept())) }
            return false
        }
        unsafe call.perform(on: LoopRunner(worker: self, peer: peer, binding: binding))
        return true
    }

    /// Calls a handler for a connection: the one way into its code for everything tagged [conn].
    ///
    /// While `body` runs the connection is the current one of this thread, no other callback of an instance that asks
    /// for GW_HF_SERIAL runs, and a crash knows whose it is.
    @inline(__always)
    func call<Result>(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let isSpecial = unsafe binding.pointee.flags & Binding.special != 0
        if isSpecial { unsafe prepare(binding) }
        beginCalling(peer)
        let result = unsafe enter(peer, binding, callback, body)
        endCalling()
        if isSpecial { unsafe finish(binding, callback) }
        return result
    }

    /// Waits for the turn of an instance that asks for GW_HF_SERIAL, and looks at the clock for one that is watched.
    private func prepare(_ binding: UnsafeMutablePointer<Binding>) {
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.serialLock.enter() }
        if unsafe binding.pointee.isWatched { callWatch = CallWatch() }
    }

    private func finish(_ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback) {
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.serialLock.leave() }
        guard unsafe binding.pointee.isWatched, let contractChecker = server.contractChecker else { return }
        guard let took = callWatch?.excess else { return }
        let generation = unsafe binding.pointee.generation
        contractChecker.note(
            ContractViolation(.slowCallback, "\(callback.name)() took \(took) ms"), of: generation.handler,
            generation: generation.number)
    }

    /// From here on the connection is the current one of this thread.
    @inline(__always)
    func beginCalling(_ peer: ConnectionPointer) {
        current = peer.pointee.id.number
        currentPeer = peer
    }

    @inline(__always)
    func endCalling() {
        current = 0
        currentPeer = nil
    }

    /// `call` for the current connection, of an instance that is known not to ask for GW_HF_SERIAL.
    @inline(__always)
    func enter<Result>(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let id = peer.pointee.id.number
        unsafe binding.pointee.site.enter(callback, connection: id)
        let result = body(id)
        CrashSite.leave()
        return result
    }
}

/// Callbacks on the loop that owns the connection.
@safe struct LoopRunner: CallbackRunner {
    let worker: Worker
    let peer: ConnectionPointer
    let binding: UnsafeMutablePointer<Binding>

    var state: UnsafeMutableRawPointer? {
        get { unsafe peer.pointee.state }
        nonmutating set { unsafe peer.pointee.state = unsafe newValue }
    }

    var message: UnsafeMutablePointer<gw_message> { unsafe worker.message }
    var lender: UnsafeMutablePointer<SharedBuffer> { unsafe worker.lender }

    var isRestoring: Bool {
        get { worker.isRestoring }
        nonmutating set { worker.isRestoring = newValue }
    }

    var isOpen: Bool { peer.pointee.phase == .open }

    @inline(__always)
    func enter<Result>(
        _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, namesConnection: Bool,
        _ body: (gw_conn) -> Result
    ) -> Result {
        unsafe worker.call(peer, binding, callback) { id in
            if !namesConnection { worker.current = 0 }
            return body(id)
        }
    }

    @inline(__always)
    func borrow(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        unsafe binding.pointee.isWatched ? UnsafeRawBufferPointer(worker.poisonedBuffers.copy(bytes)) : bytes
    }

    @inline(__always)
    func takeBack(_ bytes: UnsafeRawBufferPointer) {
        if unsafe binding.pointee.isWatched {
            unsafe worker.poisonedBuffers.spoil(UnsafeMutableRawBufferPointer(mutating: bytes))
        }
    }
}
