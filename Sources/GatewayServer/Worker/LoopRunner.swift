import Bytes
import CGatewayABI
import CLinux
import HandlerModules

/// Callbacks on the loop that owns the connection: the one way from there into the code of a handler for everything
/// tagged [conn].
@safe struct LoopRunner: CallbackRunner {
    let worker: Worker
    let peer: ConnectionPointer
    let binding: UnsafeMutablePointer<Binding>

    var state: UnsafeMutableRawPointer? {
        get { unsafe peer.pointee.state }
        nonmutating set { unsafe peer.pointee.state = unsafe newValue }
    }

    var message: UnsafeMutablePointer<gw_message> { unsafe worker.running.message }
    var borrowedBuffer: UnsafeMutablePointer<SharedBuffer> { unsafe worker.running.borrowedBuffer }

    var isRestoring: Bool {
        get { worker.running.isRestoring }
        nonmutating set { worker.running.isRestoring = newValue }
    }

    var isOpen: Bool { peer.pointee.phase == .open }

    /// While `body` runs the connection is the current one of this thread, no other callback of an instance that asks
    /// for GW_HF_SERIAL runs, and a crash knows whose it is.
    @inline(__always)
    func enter<Result>(
        _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, namesConnection: Bool,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let isSpecial = unsafe binding.pointee.flags & Binding.special != 0
        if isSpecial { unsafe prepare(binding) }
        worker.running.begin(peer)
        if !namesConnection { worker.running.forgetConnection() }
        let began = worker.beginTiming(callback)
        let result = unsafe Self.mark(peer, binding, callback, body)
        worker.running.end()
        if began != 0 { unsafe endTiming(binding, callback, began) }
        if isSpecial { unsafe finish(binding, callback) }
        return result
    }

    /// Runs `body` with the crash site saying whose callback it is.
    @inline(__always)
    static func mark<Result>(
        _ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let id = peer.pointee.id.number
        unsafe binding.pointee.site.enter(callback, connection: id)
        let result = body(id)
        CrashSite.leave()
        return result
    }

    @inline(never)
    private func endTiming(_ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback, _ began: UInt64) {
        let took = worker.clock() &- began
        unsafe binding.pointee.instanceContext.counters.workers[Int(worker.port.index)].callbacks.observe(
            callback, nanoseconds: took)
    }

    /// Waits for the turn of an instance that asks for GW_HF_SERIAL, and looks at the clock for one that is watched.
    private func prepare(_ binding: UnsafeMutablePointer<Binding>) {
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.serialLock.enter() }
        if unsafe binding.pointee.isWatched { worker.running.watch = CallWatch() }
    }

    private func finish(_ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback) {
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.serialLock.leave() }
        guard unsafe binding.pointee.isWatched, let contractChecker = worker.server.contractChecker else { return }
        guard let took = worker.running.watch?.excess else { return }
        let generation = unsafe binding.pointee.generation
        contractChecker.note(
            ContractViolation(.slowCallback, "\(callback.name)() took \(took) ms"), of: generation.handler,
            generation: generation.number)
    }

    @inline(__always)
    func borrow(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        unsafe binding.pointee.isWatched ? UnsafeRawBufferPointer(worker.running.poisonedBuffers.copy(bytes)) : bytes
    }

    @inline(__always)
    func takeBack(_ bytes: UnsafeRawBufferPointer) {
        if unsafe binding.pointee.isWatched {
            unsafe worker.running.poisonedBuffers.spoil(UnsafeMutableRawBufferPointer(mutating: bytes))
        }
    }
}

extension Worker {
    /// Which callbacks are timed: all but messages, and of those one every 32 ms, since two looks at the clock cost a
    /// good part of what a short message does.
    ///
    /// - Returns: when it begins; 0 where nobody looks.
    @inline(__always)
    func beginTiming(_ callback: clinux_callback) -> UInt64 {
        if callback == CLINUX_MESSAGE || callback == CLINUX_FRAGMENT {
            if !running.isSample { return 0 }
            running.isSample = false
        }
        return clock()
    }
}
