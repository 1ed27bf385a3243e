import Synchronization

extension Worker {
    /// A request or connection belongs to a route from here on, and keeps whoever serves it alive.
    func bind(_ peer: ConnectionPlace, _ binding: UnsafeMutablePointer<Binding>) {
        unsafe binding.pointee.references.add(1, ordering: .relaxed)
        unsafe peer.its.binding = binding
    }

    /// It does not any more: its last callback has returned.
    func unbind(_ peer: ConnectionPlace) {
        guard let binding = unsafe peer.its.binding else { return }
        if peer.its.flags.contains(.counted) {
            peer.its.flags.remove(.counted)
            unsafe binding.pointee.route.connections.subtract(1, ordering: .relaxed)
        }
        unsafe peer.its.binding = nil
        // Releasing: whoever sees nothing left may stop the instance.
        unsafe binding.pointee.references.subtract(1, ordering: .releasing)
    }

    /// Hands a connection from one binding to another; its handlers have agreed, or are the same.
    func rebind(_ peer: ConnectionPlace, to next: UnsafeMutablePointer<Binding>) {
        let isCounted = peer.its.flags.contains(.counted)
        unbind(peer)
        unsafe bind(peer, next)
        if isCounted {
            peer.its.flags.insert(.counted)
            unsafe next.pointee.route.connections.add(1, ordering: .relaxed)
        }
        unsafe port.board.rebind(peer.its.slot, to: next)
        // Limits may be others now.
        if peer.its.pingDue != 0, !peer.its.flags.contains(.pinged) {
            let interval = unsafe next.pointee.limits.pingInterval
            peer.its.pingDue = interval == 0 ? 0 : now + interval
        }
        schedule(peer)
    }
}
