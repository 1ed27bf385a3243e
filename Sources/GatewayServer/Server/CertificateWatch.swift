import GatewayIO
import HandlerModules

/// Notices that files of certificates have changed and come to rest. It belongs to the control thread.
///
///     inotify on their folders ─┐
///     slow poll ────────────────┴▶ do they look as before? ─▶ settling ─▶ read them again
///
/// A certificate and its key are two files, so nothing is told before all of them are at rest. What matters is how a file
/// looks through all links: a deployment that swaps a link on the way (certbot's `live`, the `..data` of Kubernetes) is a
/// change of the file.
final class CertificateWatch {
    /// How often the files are looked at where the kernel says nothing: what a link leads to lies in another folder.
    private static let pollInterval = Duration.seconds(5)

    let files: Set<String>
    private var watch: FolderWatch?
    private var settling: Debouncer
    /// How each file looked when it was looked at last; at first as none does, since what was read before may be old.
    private var known: [String: FileFingerprint] = [:]
    private var hasLooked = false
    private var nextLook = Duration.zero
    private var hasChanged = false

    /// Monotonic nanoseconds.
    private let clock: () -> UInt64

    init(files: Set<String>, settle: Duration, clock: @escaping () -> UInt64) {
        self.clock = clock
        self.files = files
        watch = FolderWatch.start(folders: Set(files.map { Self.folder(of: $0) }).sorted())
        settling = Debouncer(settle: settle)
    }

    private static func folder(of file: String) -> String {
        let end = file.lastIndex(of: "/") ?? file.startIndex
        return end == file.startIndex ? "/" : String(file[..<end])
    }

    private var now: Duration { .nanoseconds(Int64(truncatingIfNeeded: clock())) }

    /// For the control thread's poller; nil when there is only the slow poll.
    var number: Int32? { watch?.number }

    /// Milliseconds until `turn` has something to do even if nothing happens.
    var pause: Int32 {
        let wait = (min(settling.nextDeadline ?? nextLook, nextLook) - now) / .milliseconds(1)
        return Int32(max(1, min(wait.rounded(.up), 60_000)))
    }

    /// Looks at what happened.
    ///
    /// - Returns: whether files have changed, and all of them are at rest.
    func turn() -> Bool {
        let now = self.now
        if hasNews() || now >= nextLook { look(at: now) }
        if settling.isEmpty { return false }
        let outcomes = settling.advance(to: now, look: { FileFingerprint(path: $0) }, isWhole: { _ in true })
        if !outcomes.isEmpty { hasChanged = true }
        guard settling.isEmpty, hasChanged else { return false }
        hasChanged = false
        return true
    }

    private func hasNews() -> Bool {
        guard var watch = watch.take() else { return false }
        let changes = watch.read()
        self.watch = consume watch
        return !changes.isEmpty
    }

    private func look(at now: Duration) {
        nextLook = now + Self.pollInterval
        for file in files {
            let look = FileFingerprint(path: file)
            if look == known[file], hasLooked { continue }
            known[file] = look
            settling.touch(file, at: now, look: look)
        }
        hasLooked = true
    }
}
