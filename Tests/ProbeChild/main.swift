import CGatewayABI
import Glibc
import HandlerModules
import Synchronization

/// A host table that only knows how to listen to `fail`.
enum ProbeHost {
    private static let notes = Mutex<[UInt: FailureNote]>([:])

    static func make(_ generation: UInt64, _ handler: String, _ note: FailureNote) -> UnsafePointer<gw_host> {
        let host = UnsafeMutablePointer<gw_host>.allocate(capacity: 1)
        host.initialize(to: gw_host())
        host.pointee.struct_size = UInt32(MemoryLayout<gw_host>.size)
        host.pointee.abi_version = ABIVersion.current.number
        host.pointee.generation = generation
        host.pointee.fail = { host, why, length in
            ProbeHost.notes.withLock { $0[UInt(bitPattern: host)] }?.record(why, length: length)
        }
        notes.withLock { $0[UInt(bitPattern: host)] = note }
        return UnsafePointer(host)
    }
}

// What the gateway does when it is asked to be a probe process, and nothing else of the gateway.
let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("--probe", 3): ModuleProbe.child(path: arguments[2], makeHost: ProbeHost.make)
default: exit(2)
}
