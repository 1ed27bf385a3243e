public import CGatewayABI

/// The table of functions the gateway gives to one generation of a module; handler authors meet it as `Gateway`.
///
/// Never freed: a call on the table of a stopped generation answers `retired`.
// Sendable by contract, which the compiler cannot see: the table is immutable and never freed, and every function
// reached through this type is tagged [any] in gw_handler.h. This is the kit's only unchecked promise.
@safe
@frozen
public struct Host: @unchecked Sendable {
    /// What an instance has of its host; never freed either, so that a connection kept for too long is harmless.
    @unsafe @usableFromInline
    struct InstanceContext {
        @usableFromInline let table: UnsafePointer<gw_host>
        let instance: gw_instance
        let pendingClosures: PendingClosures
        let outlivingTasks: OutlivingTasks
    }

    @usableFromInline let context: UnsafePointer<InstanceContext>

    /// A context for one instance.
    init(_ table: UnsafePointer<gw_host>, instance: gw_instance) {
        let context = UnsafeMutablePointer<InstanceContext>.allocate(capacity: 1)
        let pendingClosures = unsafe PendingClosures(generation: table.pointee.generation)
        unsafe context.initialize(
            to: InstanceContext(
                table: table, instance: instance, pendingClosures: pendingClosures, outlivingTasks: OutlivingTasks()))
        unsafe self.context = UnsafePointer(context)
    }

    @inlinable
    var table: UnsafePointer<gw_host> { unsafe context.pointee.table }
    var instance: gw_instance { unsafe context.pointee.instance }
    var pendingClosures: PendingClosures { unsafe context.pointee.pendingClosures }
    var outlivingTasks: OutlivingTasks { unsafe context.pointee.outlivingTasks }

    func log(_ connection: gw_conn, _ level: LogLevel, _ text: String) {
        guard let log = unsafe table.pointee.log else { return }
        var text = text
        text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe log(table, connection, level.rawValue, characters.baseAddress, characters.count)
            }
        }
    }

    /// Says why `start` is about to fail; the operator sees it. [entry] [control]
    func fail(_ reason: String) {
        guard let fail = unsafe table.pointee.fail else { return }
        var reason = reason
        reason.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe fail(table, characters.baseAddress, characters.count)
            }
        }
    }

    /// Snapshot of the open connections of the instance; grows its buffer when some were opened in between.
    func connections() -> [gw_conn] {
        guard let list = unsafe table.pointee.conns else { return [] }
        var room = 64
        while true {
            var total = 0
            let found = unsafe [gw_conn](unsafeUninitializedCapacity: room) { buffer, count in
                total = unsafe list(table, instance, buffer.baseAddress, room)
                count = min(max(total, 0), room)
            }
            if total <= room { return found }
            // Some spare room, so that a busy route does not send us round again; never more than what there was twice.
            room = total.multipliedReportingOverflow(by: 2).partialValue
            guard room > found.count else { return found }
        }
    }
}
