import GatewayControl
import GatewayIO

/// Tells the service manager how the gateway does, in the words of sd_notify(3): that it has come up, reloads, ends, and
/// that it works (`WatchdogSec=`). It belongs to the control thread, and never waits; where nobody listens it does nothing.
///
///     starting ─▶ READY=1 ─▶ RELOADING=1 ─▶ READY=1 … ─▶ STOPPING=1
///                    └─ every half of WATCHDOG_USEC: each worker passes a fence ─▶ WATCHDOG=1
final class ServiceManager {
    /// After so many nanoseconds what found no room is tried again.
    private static let retry: UInt64 = 100_000_000
    /// How often a manager is told that starting or ending goes on, and for how long that holds.
    private static let extensionInterval: UInt64 = 5_000_000_000
    private static let extensionMicroseconds = 15_000_000
    /// More than ever wait for room, unless nobody reads at all.
    private static let mostUnsent = 64

    /// A socket in a class, since it may not be there.
    private final class Destination {
        let socket: NotificationSocket
        init(_ socket: consuming NotificationSocket) { self.socket = socket }
    }

    private let destination: Destination?
    private let log: Log
    private let bell: ControlWaker
    /// Half of what the manager has patience for, in nanoseconds; nil where it does not watch.
    private let feedInterval: UInt64?
    /// Messages that found no room, in their order.
    private var unsent: [String] = []
    private var retryAt: UInt64?
    private var saidLost = false
    private var status = ""
    private var nextFeed: UInt64 = 0
    /// What the workers have to pass before the watchdog is fed.
    private var fence: Fence?
    private var nextExtension: UInt64 = 0

    init(_ environment: ServiceEnvironment, _ log: Log, bell: ControlWaker) {
        self.log = log
        self.bell = bell
        var opened: Destination?
        if let path = environment.notifySocket {
            do throws(Errno) {
                opened = Destination(try NotificationSocket(path: path))
            } catch {
                log.warn("the service manager will hear nothing: NOTIFY_SOCKET is \"\(path)\": \(error)")
            }
        }
        destination = opened
        let microseconds = opened == nil ? nil : environment.watchdogMicroseconds
        feedInterval = microseconds.map { max(1, min($0, .max / 1000)) * 1000 / 2 }
    }

    /// When `step` is due even if nothing happens, by the monotonic clock; nil = never.
    private(set) var deadline: UInt64?

    // MARK: What happens

    /// Whoever connects is served, with what was reloaded if there was a reload.
    func tellReady(_ status: String, at now: UInt64) {
        self.status = status
        send("READY=1\nSTATUS=\(status)", at: now)
    }

    /// The configuration is about to be read again; `tellReady` is the end of it.
    func tellReloading(at now: UInt64) { send("RELOADING=1\nMONOTONIC_USEC=\(now / 1000)", at: now) }

    func tellStopping(_ status: String, at now: UInt64) {
        self.status = status
        send("STOPPING=1\nSTATUS=\(status)", at: now)
    }

    /// Does what is due.
    ///
    /// - Parameters:
    ///   - status: one line of what the gateway does.
    ///   - isTransient: it starts or ends, for which a manager has less patience than that may take.
    ///   - ports: those of the workers that have to turn.
    func step(_ status: @autoclosure () -> String, isTransient: Bool, _ ports: [WorkerPort], at now: UInt64) {
        guard destination != nil else { return }
        flush(at: now)
        let status = status()
        if status != self.status {
            self.status = status
            send("STATUS=\(status)", at: now)
        }
        if isTransient, now >= nextExtension, unsent.isEmpty {
            nextExtension = now &+ Self.extensionInterval
            send("EXTEND_TIMEOUT_USEC=\(Self.extensionMicroseconds)", at: now)
        }
        feed(ports, at: now)
        deadline = [
            retryAt, isTransient ? nextExtension : nil, feedInterval == nil || fence != nil ? nil : nextFeed,
        ].compactMap { $0 }.min()
    }

    // MARK: The watchdog

    /// Feeds the watchdog once every worker has made a turn since that was due: one that a callback holds up does not, and
    /// one that sleeps is woken for it. Whoever keeps this thread keeps the watchdog hungry as well.
    private func feed(_ ports: [WorkerPort], at now: UInt64) {
        guard let feedInterval else { return }
        // Workers that have ended will not pass any more.
        if ports.isEmpty { fence = nil }
        if fence == nil, now >= nextFeed {
            let fence = Fence(passers: ports.count, bell: bell)
            for port in ports { port.post(.fence(fence)) }
            self.fence = fence
        }
        guard let fence, fence.isPassed, unsent.isEmpty else { return }
        send("WATCHDOG=1", at: now)
        self.fence = nil
        nextFeed = now &+ feedInterval
    }

    // MARK: Sending

    private func send(_ message: String, at now: UInt64) {
        guard destination != nil else { return }
        if unsent.count >= Self.mostUnsent { unsent.removeFirst() }
        unsent.append(message)
        flush(at: now)
    }

    private func flush(at now: UInt64) {
        retryAt = nil
        while let destination, let message = unsent.first {
            switch destination.socket.send(message) {
            case .sent: unsent.removeFirst()
            case .full:
                retryAt = now &+ Self.retry
                return
            case .lost(let error):
                unsent = []
                if saidLost { return }
                saidLost = true
                log.warn("the service manager hears nothing: NOTIFY_SOCKET: \(error)")
            }
        }
    }
}

extension Server {
    /// One line for `systemctl status`.
    var serviceStatus: String {
        switch phase {
        case .starting: return "starting handlers"
        case .serving:
            let routes = handlerManager.routing.routes
            let missing = routes.count { unsafe $0.binding == nil }
            let count = "\(routes.count) route\(routes.count == 1 ? "" : "s")"
            return missing == 0 ? "serving \(count)" : "degraded: \(missing) of \(count) unavailable"
        case .draining: return "draining: new connections are refused"
        case .stopping: return "stopping: connections are told to go"
        }
    }

    /// A reload that was asked for by signal does not happen: whoever waits for its end waits no longer.
    func tellReloadOver() {
        guard phase == .draining || predecessor != nil else { return }
        serviceManager.tellReloading(at: context.clock())
        serviceManager.tellReady(serviceStatus, at: context.clock())
    }

    /// Tells the service manager what it is to know.
    func stepServiceManager() {
        if isRelieved { return }
        // While the gateway starts there are no workers yet, and while it stops there are fewer and fewer.
        let isWorking = phase == .serving || phase == .draining
        serviceManager.step(
            serviceStatus, isTransient: phase != .serving, isWorking ? context.ports : [], at: context.clock())
    }
}
