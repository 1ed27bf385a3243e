import CGatewayABI
import CLinux
import HandlerModules
import Synchronization

extension Lane {
    /// Hands the connection to another instance, if both agree. The lane then rests until the worker has seen to that:
    /// calls behind this one find everybody of the same mind.
    func move(_ handOver: HandOver) {
        guard let to = unsafe handOver.to else { return port.post(.laneMoved(self, handOver, false)) }
        let isMoved = unsafe hand(to: to, handOver)
        if !isMoved { unsafe to.pointee.record.lanes.subtract(1, ordering: .releasing) }
        port.post(.laneMoved(self, handOver, isMoved))
    }

    /// save_conn -> restore_conn -> drop_conn; nothing has changed when either side refuses.
    private func hand(to: UnsafeMutablePointer<Binding>, _ handOver: HandOver) -> Bool {
        let from = unsafe binding
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        defer {
            unsafe sink.deinitialize(count: 1)
            unsafe sink.deallocate()
        }
        var next: UnsafeMutableRawPointer?
        if handOver.isStateless {
            guard unsafe from.pointee.handler.saveConnection == nil || save(from, into: sink) else { return false }
        } else {
            guard let restore = unsafe to.pointee.handler.restoreConnection, unsafe save(from, into: sink),
                unsafe !sink.pointee.isOverflown
            else { return false }
            var saved = unsafe sink.pointee.saved(by: from.pointee.generation)
            let request = unsafe kept.withLock { $0 }?.with { unsafe $0.record.markMigrated() }
            isRestoring.store(true, ordering: .relaxed)
            let status = unsafe call(to, CLINUX_RESTORE_CONN) { id in
                unsafe restore(to.pointee.instance, id, request, &saved, &next)
            }
            isRestoring.store(false, ordering: .relaxed)
            guard status >= 0 else { return false }
        }
        if let drop = unsafe from.pointee.handler.dropConnection {
            unsafe call(from, CLINUX_DROP_CONN) { id in unsafe drop(from.pointee.instance, id, statePointer) }
        }
        state.store(UInt(bitPattern: next), ordering: .relaxed)
        unsafe rebind(to: to)
        return true
    }

    /// Whether the handler lets go of the connection; one that keeps nothing is asked for its consent only.
    private func save(_ from: UnsafeMutablePointer<Binding>, into sink: UnsafeMutablePointer<StateSink>) -> Bool {
        guard let save = unsafe from.pointee.handler.saveConnection else { return false }
        let status = unsafe call(from, CLINUX_SAVE_CONN) { id in
            unsafe save(from.pointee.instance, id, statePointer, OpaquePointer(sink))
        }
        return status >= 0 && !isCutOff.load(ordering: .acquiring)
    }
}
