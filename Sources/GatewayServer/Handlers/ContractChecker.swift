import CLinux
import GatewayIO
import Glibc
import Synchronization

/// Watches how handlers keep to the contract, in `mode development`: what they do against it is a line of the log, once
/// for each kind and generation.
///
/// Nothing of this is on the way of a message otherwise: handlers that are watched get another table of host functions
/// (`WatchedFunctions.watch`), and their bindings a flag.
final class ContractChecker: Sendable {
    /// In the flags of a `Binding`, beside GW_HF_*: this handler is watched.
    static let watched: UInt32 = 1 << 31
    private let log: Log
    private let told = Mutex<Set<String>>([])
    /// Connections that their handler closed.
    private let closed = Mutex<Set<UInt64>>([])

    init(_ log: Log) { self.log = log }

    /// Notes a mistake.
    func note(_ mistake: ContractViolation, of handler: String, generation: UInt64) {
        let key = "\(handler)/\(generation)/\(mistake.kind.rawValue)"
        guard told.withLock({ $0.insert(key).inserted }) else { return }
        log.warn(mistake.logLine(of: handler))
    }

    /// A handler has closed a connection. Only the last few thousand are remembered.
    func noteClose(_ connection: UInt64) {
        closed.withLock {
            if $0.count >= 4096 { $0.removeAll() }
            $0.insert(connection)
        }
    }

    /// Whether the handler closed it.
    func wasClosed(_ connection: UInt64) -> Bool { closed.withLock { $0.contains(connection) } }
}

/// How long a callback holds its loop up, by its own doing: a machine that lets it wait for a processor is not its
/// fault.
struct CallWatch {
    /// A callback that takes longer is told of, in nanoseconds.
    private static let patience: UInt64 = 50_000_000

    private let began = Clock.monotonicNanoseconds()
    private let computed = Self.processorTime()
    private let waits = Self.waits()

    /// Milliseconds that it took when they were too many: it computed, or waited for something.
    var excess: UInt64? {
        let took = Clock.monotonicNanoseconds() &- began
        if took <= Self.patience { return nil }
        let isOwn = Self.processorTime() &- computed > Self.patience || Self.waits() != waits
        return isOwn ? took / 1_000_000 : nil
    }

    private static func processorTime() -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }

    /// How often this thread gave its processor away, waiting for something.
    private static func waits() -> Int {
        var usage = rusage()
        // RUSAGE_THREAD, which Swift does not see.
        _ = unsafe getrusage(__rusage_who_t(1), &usage)
        return usage.ru_nvcsw
    }
}

extension clinux_callback {
    /// What gw_handler.h calls it.
    var name: String {
        switch self {
        case CLINUX_ENTRY: "gw_handler_entry_v1"
        case CLINUX_START: "start"
        case CLINUX_RECONFIGURE: "reconfigure"
        case CLINUX_STOP: "stop"
        case CLINUX_UPGRADE: "upgrade"
        case CLINUX_OPEN: "open"
        case CLINUX_MESSAGE: "message"
        case CLINUX_FRAGMENT: "fragment"
        case CLINUX_PING: "ping"
        case CLINUX_PONG: "pong"
        case CLINUX_DRAINED: "drained"
        case CLINUX_ERROR: "error"
        case CLINUX_CLOSE: "close"
        case CLINUX_HTTP: "http"
        case CLINUX_EVENT: "event"
        case CLINUX_WORK: "work"
        case CLINUX_SAVE_SELF: "save_self"
        case CLINUX_RESTORE_SELF: "restore_self"
        case CLINUX_SAVE_CONN: "save_conn"
        case CLINUX_RESTORE_CONN: "restore_conn"
        case CLINUX_DROP_CONN: "drop_conn"
        default: "another callback"
        }
    }
}
