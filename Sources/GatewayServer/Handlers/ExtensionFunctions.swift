import CGatewayABI
import Glibc
import Synchronization

/// Tables of host functions that are offered by name.
@unsafe enum ExtensionFunctions {
    /// The optional table of that name; NULL when it is not offered. Tables are made once and live for ever.
    static func table(of id: UnsafePointer<CChar>, _ host: UnsafePointer<gw_host>?) -> UnsafeRawPointer? {
        if unsafe strcmp(id, GW_EXT_METRICS) == 0 { return unsafe UnsafeRawPointer(bitPattern: metrics) }
        if unsafe strcmp(id, GW_EXT_THREAD_CHECK) == 0 { return unsafe UnsafeRawPointer(bitPattern: threadCheck) }
        return nil
    }

    private static let threadCheck: UInt = {
        let table = UnsafeMutablePointer<gw_ext_thread_check>.allocate(capacity: 1)
        unsafe table.initialize(to: gw_ext_thread_check())
        unsafe table.pointee.struct_size = UInt32(MemoryLayout<gw_ext_thread_check>.size)
        unsafe table.pointee.is_conn_thread = { _, connection in
            unsafe ConnectionFunctions.isCurrent(connection) ? 1 : 0
        }
        return UInt(bitPattern: table)
    }()

    private static let metrics: UInt = {
        let table = UnsafeMutablePointer<gw_ext_metrics>.allocate(capacity: 1)
        unsafe table.initialize(to: gw_ext_metrics())
        unsafe table.pointee.struct_size = UInt32(MemoryLayout<gw_ext_metrics>.size)
        unsafe table.pointee.define = { host, instance, kind, name, help in
            unsafe HostContext.with(host, else: 0) { unsafe $0.define(instance, kind, name, help) }
        }
        unsafe table.pointee.record = { host, number, value in
            unsafe HostContext.with(host, else: ()) { $0.record(number, value) }
        }
        return UInt(bitPattern: table)
    }()
}

extension HostContext {
    /// The longest name and help of a metric that are taken.
    private static let longestText = 256

    func define(
        _ instance: gw_instance, _ kind: Int32, _ name: UnsafePointer<CChar>?, _ help: UnsafePointer<CChar>?
    ) -> UInt32 {
        guard let kind = MetricTable.Kind(rawValue: kind), let name = unsafe Self.text(name), Self.isName(name),
            !isRetired.load(ordering: .acquiring)
        else { return 0 }
        let route = server.instances.context(instance)?.scope ?? ""
        if route.isEmpty, !server.isProbe { return 0 }
        let help = unsafe Self.text(help) ?? ""
        let prefix = String(handler.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
        return server.metrics.define(
            MetricTable.Definition(
                name: "handler_\(prefix)_\(name)", help: help, kind: kind, module: module, route: route))
    }

    func record(_ number: UInt32, _ value: Double) { server.metrics.record(number, module: module, value) }

    private static func text(_ start: UnsafePointer<CChar>?) -> String? {
        guard let start = unsafe start else { return nil }
        let count = unsafe strnlen(start, longestText + 1)
        guard count <= longestText else { return nil }
        return unsafe String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// What OpenMetrics takes as the rest of a name.
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }
}
