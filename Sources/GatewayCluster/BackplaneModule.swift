import CBackplaneABI
import Glibc

/// The module that speaks with one kind of engine: a shared object beside the gateway's program, loaded once.
struct BackplaneModule: Sendable {
    /// Of its table, which is constant and lives as long as the process.
    private let address: UInt
    let file: String

    var table: UnsafePointer<gw_backplane> {
        guard let table = unsafe UnsafePointer<gw_backplane>(bitPattern: address) else {
            preconditionFailure("a backplane without a table")
        }
        return unsafe table
    }

    /// Which file speaks with the engines of a URL.
    static func name(for scheme: some StringProtocol) -> String? {
        switch scheme {
        case "nats", "tls": "nats"
        case "redis", "redis+unix", "rediss", "valkey": "redis"
        default: nil
        }
    }

    /// - Parameter folders: where it is looked for, the first one first.
    static func load(_ name: String, in folders: [String]) throws(ClusterError) -> BackplaneModule {
        let file = "libgateway-\(name).so"
        guard let path = folders.map({ $0 + "/" + file }).first(where: { unsafe access($0, R_OK) == 0 }) else {
            throw ClusterError(
                "\(file) is not there, which speaks with this engine (looked in \(folders.joined(separator: ", ")))",
                hint: "It is built where \(name == "nats" ? "libnats-dev" : "libhiredis-dev") is installed: "
                    + "swift build -c release --manifest-cache none")
        }
        guard let handle = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw ClusterError("\(path) cannot be loaded: \(unsafe String(cString: dlerror()))")
        }
        typealias Entry = @convention(c) (UInt32) -> UnsafePointer<gw_backplane>?
        guard let symbol = unsafe dlsym(handle, "gw_backplane_entry_v1") else {
            throw ClusterError("\(path) has no gw_backplane_entry_v1: it is no backplane")
        }
        let entry = unsafe unsafeBitCast(symbol, to: Entry.self)
        let version = UInt32(GW_BACKPLANE_ABI_MAJOR) << 16 | UInt32(GW_BACKPLANE_ABI_MINOR)
        guard let table = unsafe entry(version), unsafe table.pointee.abi_version >> 16 == GW_BACKPLANE_ABI_MAJOR,
            unsafe Int(table.pointee.struct_size) >= MemoryLayout<gw_backplane>.size
        else { throw ClusterError("\(path) was built for another version of gw_backplane.h") }
        return BackplaneModule(address: UInt(bitPattern: table), file: path)
    }

    /// Several URLs are seeds of one engine.
    var takesSeeds: Bool { unsafe table.pointee.flags & GW_BACKPLANE_SEEDS != 0 }
}

/// Why topics cannot be shared.
package struct ClusterError: Error, Equatable, Sendable, CustomStringConvertible {
    package let reason: String
    package let hint: String?

    package init(_ reason: String, hint: String? = nil) { (self.reason, self.hint) = (reason, hint) }
    package var description: String { reason + (hint.map { ". \($0)" } ?? "") }
}
