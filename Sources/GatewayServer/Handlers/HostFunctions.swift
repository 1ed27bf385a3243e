import CGatewayABI
import CLinux
import GatewayIO
import Glibc
import HandlerModules

/// The table of functions that handlers call; what each one promises stands in gw_handler.h.
///
/// Calls on the owner's thread act on the connection at once, without a lock; calls from elsewhere, callbacks on the
/// pool among them, ask its `SharedConnectionTable` and leave a `WorkerMessage`. Neither ever calls a handler (R1).
@unsafe enum HostFunctions {
    static func table(generation: UInt64) -> gw_host {
        var table = unsafe gw_host()
        unsafe table.struct_size = unsafe UInt32(MemoryLayout<gw_host>.size)
        unsafe table.abi_version = UInt32(GW_ABI_MAJOR) << 16 | UInt32(GW_ABI_MINOR)
        unsafe table.generation = generation
        unsafe table.name = unsafe UnsafePointer(strdup("gateway"))
        unsafe table.version = unsafe UnsafePointer(strdup(GatewayVersion.text))
        unsafe fillBasics(&table)
        unsafe RequestFunctions.fill(&table)
        unsafe BufferFunctions.fill(&table)
        unsafe SendFunctions.fill(&table)
        unsafe ConnectionFunctions.fill(&table)
        unsafe TopicFunctions.fill(&table)
        unsafe EventFunctions.fill(&table)
        unsafe fillHolding(&table)
        return unsafe table
    }

    private static func fillBasics(_ table: inout gw_host) {
        unsafe table.get_extension = { host, id in
            guard let id = unsafe id else { return nil }
            return unsafe ExtensionFunctions.table(of: id, host)
        }
        unsafe table.log = { host, connection, level, text, length in
            unsafe HostContext.with(host, else: ()) { unsafe $0.log(connection, level, text, length) }
        }
        unsafe table.now_ns = { _ in
            unsafe HostFunctions.onWorker { $0.nowNanoseconds } ?? Clock.monotonicNanoseconds()
        }
        unsafe table.fail = { host, why, length in
            unsafe HostContext.with(host, else: ()) { unsafe $0.note.record(why, length: length) }
        }
        unsafe table.sink_write = { _, sink, start, count in
            guard let sink = unsafe sink else { return Status.invalid }
            return unsafe UnsafeMutablePointer<StateSink>(sink).pointee.write(start, count)
        }
        unsafe table.config_get = { _, configuration, key, out in
            guard let configuration = unsafe configuration, let key = unsafe key, let out = unsafe out else {
                return Status.invalid
            }
            return unsafe HostFunctions.find(key, in: configuration.pointee.values, ignoringCase: false, out)
        }
    }

    /// The worker that runs on this thread; nil elsewhere.
    @inline(__always)
    static func onWorker<Result>(_ body: (Worker) -> Result) -> Result? {
        guard let pointer = unsafe clinux_worker() else { return nil }
        return unsafe Unmanaged<Worker>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }

    /// The callback queue whose callback runs on this thread of the pool; nil elsewhere.
    @inline(__always)
    static func onCallbackQueue<Result>(_ body: (CallbackQueue) -> Result) -> Result? {
        guard let pointer = unsafe clinux_callback_queue() else { return nil }
        return unsafe Unmanaged<CallbackQueue>.fromOpaque(pointer)._withUnsafeGuaranteedRef(body)
    }

    /// Looks a NUL-terminated key up in borrowed pairs; the first match counts.
    static func find(
        _ key: UnsafePointer<CChar>, in pairs: gw_kvs, ignoringCase: Bool, _ out: UnsafeMutablePointer<gw_str>
    ) -> gw_status {
        let length = unsafe strlen(key)
        let list = unsafe UnsafeBufferPointer(start: pairs.ptr, count: pairs.len)
        for index in list.indices where unsafe list[index].key.len == length {
            let pair = unsafe list[index]
            guard let start = unsafe pair.key.ptr else { continue }
            let same = unsafe ignoringCase ? strncasecmp(start, key, length) : strncmp(start, key, length)
            if same == 0 {
                unsafe out.pointee = unsafe pair.value
                return Status.ok
            }
        }
        return Status.notFound
    }
}

extension HostContext {
    /// Writes a line for a handler.
    func log(_ connection: gw_conn, _ level: Int32, _ text: UnsafePointer<CChar>?, _ length: Int) {
        let level = Log.Level(rawValue: Int(max(0, min(4, level)))) ?? .info
        let site = logSite(connection)
        guard server.log.writes(level, by: leastLevel(site)), let text = unsafe text else { return }
        // A line of a handler is bounded, so that none can hold a worker up for long.
        let bytes = unsafe UnsafeRawBufferPointer(start: text, count: min(max(0, length), 4096))
        let message = unsafe String(decoding: bytes, as: UTF8.self)
        let place = connection == 0 ? "" : " [\(String(connection, radix: 16))]"
        server.log.put(
            level, "handler \"\(handler)\"\(place): \(message)",
            about: LogLine.Subject(
                handler: handler, generation: generation, route: site?.route,
                connection: connection == 0 ? nil : connection))
    }

    /// Whose route a line is about: that of its connection, else that of the callback which runs on this thread.
    private func logSite(_ connection: gw_conn) -> CrashSite? {
        let id = ConnectionID(connection)
        if connection != 0, id.worker < server.ports.count,
            let site = server.ports[id.worker].sharedTable.crashSite(of: id, module: module)
        {
            return site
        }
        return CrashSite.current
    }

    /// The least level that is written of it; nil leaves that to `error_log`.
    private func leastLevel(_ site: CrashSite?) -> Log.Level? {
        if let site { return Log.Level(least: site.logLevel) }
        // A thread of the handler's own: what is written on any of its routes.
        return server.instances.logLevels(ofModule: module).min().flatMap { Log.Level(least: $0) }
    }
}
