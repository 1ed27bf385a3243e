import GatewayConfiguration
import GatewayIO
import HandlerModules

/// Notices that handlers' files have changed and are written completely. It belongs to the control thread.
///
///     inotify ─┐
///     slow poll ┴▶ handler by file name ─▶ settling ─▶ reload
final class ModuleWatch {
    /// What became of a handler's file.
    enum News: Equatable {
        case changed(String)
        /// The file never came to rest: it is tried once as it is.
        case stillBeingWritten(String)
        /// Serving goes on with what is loaded.
        case deleted(String)
    }

    /// How often the folders are looked at where the kernel says nothing, on network file systems for example.
    private static let pollInterval = Duration.seconds(5)

    private let locator: ModuleLocator
    private var watch: FolderWatch?
    private var poll: FolderPoll
    private var settling: Debouncer
    /// What was seen of files that were handed over: a source that tells of them again, the slow poll for one, is late.
    private var known: [String: FileFingerprint] = [:]

    /// Monotonic nanoseconds.
    private let clock: () -> UInt64

    init(folders: [String], locator: ModuleLocator, settle: Duration, clock: @escaping () -> UInt64) {
        self.clock = clock
        self.locator = locator
        watch = FolderWatch.start(folders: folders)
        poll = FolderPoll(
            folders: folders, interval: Self.pollInterval,
            now: .nanoseconds(Int64(truncatingIfNeeded: clock())))
        settling = Debouncer(settle: settle)
    }

    /// Of the folders that a configuration names.
    convenience init(_ locator: ModuleLocator, _ configuration: Configuration, _ clock: @escaping () -> UInt64) {
        self.init(
            folders: locator.folders, locator: locator, settle: .milliseconds(configuration.settleMilliseconds),
            clock: clock)
    }

    private var now: Duration { .nanoseconds(Int64(truncatingIfNeeded: clock())) }

    /// For the control thread's poller; nil when there is only the slow poll.
    var number: Int32? { watch?.number }

    /// Milliseconds until `turn` has something to do even if nothing happens.
    var pause: Int32 {
        let due = min(settling.nextDeadline ?? poll.nextDeadline, poll.nextDeadline)
        let wait = (due - now) / .milliseconds(1)
        return Int32(max(1, min(wait.rounded(.up), 60_000)))
    }

    /// Whether a handler's file has changed and is waited for.
    func isSettling(_ handler: String) -> Bool { settling.isPending(handler) }

    /// Looks at what happened; answers the handlers whose files have come to rest, refused ones included.
    func turn(modules: [Module]) -> [News] {
        let homes = Dictionary(modules.map { ($0.handler, $0.home) }, uniquingKeysWith: { first, _ in first })
        func look(_ handler: String) -> FileFingerprint? { locator.look(handler, home: homes[handler] ?? nil) }
        func isWhole(_ handler: String) -> Bool { self.isWhole(handler, home: homes[handler] ?? nil) }
        var names: Set<String> = []
        if var watch = watch.take() {
            let changes = watch.read()
            names = changes.names
            if changes.rescan { names.formUnion(poll.lookNow()) }
            self.watch = consume watch
        }
        let now = self.now
        names.formUnion(poll.advance(to: now))
        for handler in modules.map(\.handler)
        where names.contains("\(handler).so") || names.contains("lib\(handler).so") {
            let look = look(handler)
            if let look, known[handler] == look { continue }
            settling.touch(handler, at: now, look: look)
        }
        if settling.isEmpty { return [] }
        // The look that was the same for a while: whatever is written from now on looks different.
        var seen: [String: FileFingerprint] = [:]
        let outcomes = settling.advance(
            to: now,
            look: { handler in
                seen[handler] = look(handler)
                return seen[handler]
            }, isWhole: isWhole)
        return outcomes.map { outcome in
            switch outcome {
            case .ready(let handler):
                known[handler] = seen[handler]
                return .changed(handler)
            case .stillBeingWritten(let handler): return .stillBeingWritten(handler)
            case .deleted(let handler):
                known[handler] = nil
                return .deleted(handler)
            }
        }
    }

    /// Whether waiting is of no use: its linker is done with it, or it cannot be taken whatever is in it.
    private func isWhole(_ handler: String, home: String?) -> Bool {
        guard let file = try? locator.find(handler, home: home) else { return true }
        return ELFImage.isWhole(file.path)
    }
}
