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
        /// It never came to rest: it is tried once as it is.
        case stillBeingWritten(String)
        /// Serving goes on with what is loaded.
        case deleted(String)
    }

    /// How often the folders are looked at where the kernel says nothing, on network file systems for example.
    private static let pollInterval = Duration.seconds(5)

    private let locator: ModuleLocator
    private var watch: FolderWatch?
    private var poll: FolderPoll
    private var settling: Settling

    init(folders: [String], locator: ModuleLocator, settle: Duration) {
        self.locator = locator
        watch = FolderWatch.start(folders: folders)
        poll = FolderPoll(folders: folders, interval: Self.pollInterval, now: Self.now)
        settling = Settling(settle: settle)
    }

    private static var now: Duration { .nanoseconds(Int64(truncatingIfNeeded: Clock.monotonicNanoseconds())) }

    /// For the control thread's poller; nil when there is only the slow poll.
    var number: Int32? { watch?.number }

    /// Milliseconds until `turn` has something to do even if nothing happens.
    var pause: Int32 {
        let due = min(settling.nextDeadline ?? poll.nextDeadline, poll.nextDeadline)
        let wait = (due - Self.now) / .milliseconds(1)
        return Int32(max(1, min(wait.rounded(.up), 60_000)))
    }

    /// Looks at what happened; answers the handlers whose files have come to rest.
    func turn(handlers: [String]) -> [News] {
        var names: Set<String> = []
        if var watch = watch.take() {
            let changes = watch.read()
            names = changes.names
            if changes.rescan { names.formUnion(poll.lookNow()) }
            self.watch = consume watch
        }
        let now = Self.now
        names.formUnion(poll.advance(to: now))
        for handler in handlers where names.contains("\(handler).so") || names.contains("lib\(handler).so") {
            settling.touch(handler, at: now, look: look(handler))
        }
        if settling.isEmpty { return [] }
        return settling.advance(to: now, look: look, isWhole: isWhole).map { outcome in
            switch outcome {
            case .ready(let handler): .changed(handler)
            case .stillBeingWritten(let handler): .stillBeingWritten(handler)
            case .deleted(let handler): .deleted(handler)
            }
        }
    }

    private func look(_ handler: String) -> FileLook? {
        guard let file = try? locator.find(handler) else { return nil }
        return FileLook(path: file.path)
    }

    private func isWhole(_ handler: String) -> Bool {
        guard let file = try? locator.find(handler) else { return false }
        return (try? ELFImage(path: file.path)) != nil
    }
}
