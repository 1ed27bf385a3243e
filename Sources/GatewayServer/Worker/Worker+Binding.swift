import Synchronization

extension Worker {
    /// A request or connection belongs to a route from here on, and keeps whoever serves it alive.
    func bind(_ peer: ConnectionPointer, _ binding: UnsafeMutablePointer<Binding>) {
        unsafe binding.pointee.references.add(1, ordering: .relaxed)
        unsafe peer.pointee.binding = binding
    }

    /// It does not any more: its last callback has returned.
    func unbind(_ peer: ConnectionPointer) {
        guard let binding = unsafe peer.pointee.binding else { return }
        if peer.pointee.flags.contains(.counted) {
            peer.pointee.flags.remove(.counted)
            unsafe binding.pointee.route.connections.subtract(1, ordering: .relaxed)
        }
        unsafe peer.pointee.binding = nil
        // Releasing: whoever sees nothing left may stop the instance.
        unsafe binding.pointee.references.subtract(1, ordering: .releasing)
    }

    /// Hands a connection from one binding to another; its handlers have agreed, or are the same.
    func rebind(_ peer: ConnectionPointer, to next: UnsafeMutablePointer<Binding>) {
        let isCounted = peer.pointee.flags.contains(.counted)
        unbind(peer)
        unsafe bind(peer, next)
        if isCounted {
            peer.pointee.flags.insert(.counted)
            unsafe next.pointee.route.connections.add(1, ordering: .relaxed)
        }
        unsafe port.sharedTable.rebind(peer.pointee.slot, to: next)
        // Limits may be others now.
        if peer.pointee.pingDue != 0, !peer.pointee.flags.contains(.pinged) {
            let interval = unsafe next.pointee.limits.pingInterval
            peer.pointee.pingDue = interval == 0 ? 0 : now + interval
        }
        schedule(peer)
    }
}
