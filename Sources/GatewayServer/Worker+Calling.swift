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
        let isSerial = unsafe binding.pointee.has(GW_HF_SERIAL)
        if isSerial { unsafe binding.pointee.turnstile.enter() }
        beginCalling(peer)
        let result = unsafe enter(peer, binding, callback, body)
        endCalling()
        if isSerial { unsafe binding.pointee.turnstile.leave() }
        return result
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
