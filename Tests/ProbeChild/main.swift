import CGatewayABI
import CLinux
import Glibc
import HandlerModules
import Synchronization

/// A host table that only knows how to listen to `fail`.
enum ProbeHost {
    private static let notes = Mutex<[UInt: FailureReason]>([:])

    @Sendable static func make(_ generation: UInt64, _ handler: String, _ note: FailureReason) -> UnsafePointer<gw_host>
    {
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

/// Ways to die, with the record of a crash on standard error and in the file that standard input is.
enum Crash {
    static func die(_ how: String) {
        guard clinux_record_crashes(STDIN_FILENO) == 0, clinux_make_crash_stack() == 0 else { exit(2) }
        let site = CrashSite(handler: "chat", generation: 3, digest: 0xAB, route: "/rooms/:room")
        site.enter(CLINUX_MESSAGE, connection: 0x1_0000_0002)
        switch how {
        case "fault": fault()
        case "left":
            CrashSite.leave()
            fault()
        case "abort": abort()
        case "trap": fatalError("a handler gave up")
        case "overflow": print(sink(0))
        case "sent": _ = kill(getpid(), SIGSEGV)
        case "survived": exit(0)
        default: exit(2)
        }
    }

    private static func fault() {
        UnsafeMutablePointer<Int>(bitPattern: 0x10)?.pointee = 1
    }

    /// Needs more stack than there is.
    @inline(never)
    private static func sink(_ depth: Int) -> Int {
        var room = [depth, depth + 1]
        room[depth & 1] = depth == .max ? 0 : sink(depth + 1)
        return room[0] &+ room[1]
    }
}

// What the gateway does when it is asked to be a probe process, and nothing else of the gateway.
let arguments = CommandLine.arguments
switch (arguments.dropFirst().first, arguments.count) {
case ("--probe", 3): ModuleProbe.child(path: arguments[2], makeHost: ProbeHost.make)
case ("--crash", 3):
    Crash.die(arguments[2])
    exit(3)
default: exit(2)
}
