import CGatewayABI
import CLinux
import HandlerModules

extension Worker {
    /// Calls a handler for a connection: the one way into its code for everything tagged [conn].
    ///
    /// While `body` runs the connection is the current one of this thread, no other callback of an instance that asks
    /// for GW_HF_SERIAL runs, and a crash knows whose it is.
    @inline(__always)
    func call<Result>(
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback,
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
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.turnstile.enter() }
        if unsafe binding.pointee.isWatched { callWatch = CallWatch() }
    }

    private func finish(_ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback) {
        if unsafe binding.pointee.has(GW_HF_SERIAL) { unsafe binding.pointee.turnstile.leave() }
        guard unsafe binding.pointee.isWatched, let conduct = server.conduct else { return }
        guard let took = callWatch?.excess else { return }
        let generation = unsafe binding.pointee.generation
        conduct.note(
            Mistake(.slowCallback, "\(callback.name)() took \(took) ms"), of: generation.handler,
            generation: generation.number)
    }

    /// What a handler is lent of octets that came in: they themselves, or for one that is watched a copy, so that what
    /// it keeps can be overwritten without harm to anybody.
    @inline(__always)
    func borrowed(
        _ binding: UnsafeMutablePointer<Binding>, _ octets: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer {
        unsafe binding.pointee.isWatched ? UnsafeRawBufferPointer(quarantine.copy(octets)) : octets
    }

    /// Takes back what `borrowed` gave.
    @inline(__always)
    func takeBack(_ binding: UnsafeMutablePointer<Binding>, _ octets: UnsafeRawBufferPointer) {
        if unsafe binding.pointee.isWatched { unsafe quarantine.spoil(UnsafeMutableRawBufferPointer(mutating: octets)) }
    }

    /// From here on the connection is the current one of this thread.
    @inline(__always)
    func beginCalling(_ peer: ConnectionPlace) {
        current = peer.its.id.number
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
        _ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>, _ callback: clinux_callback,
        _ body: (gw_conn) -> Result
    ) -> Result {
        let id = peer.its.id.number
        unsafe binding.pointee.site.enter(callback, connection: id)
        let result = body(id)
        CrashSite.leave()
        return result
    }
}
