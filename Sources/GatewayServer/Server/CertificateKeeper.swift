import GatewayConfiguration
import GatewayIO

/// Keeps the certificates of all listeners what their files are: reads them again when those change, and says in time
/// that they end. It belongs to the control thread.
final class CertificateKeeper {
    private let log: Log
    private let loop: ControlLoop
    private let settle: Duration
    /// Monotonic nanoseconds.
    private let clock: () -> UInt64
    /// Seconds since 1970.
    private let wallClock: () -> Int64
    /// Nil where no listener speaks TLS.
    private var watch: CertificateWatch?
    private var expiry = CertificateExpiry()
    /// What was wrong with the files when they were read last, and has been said.
    private var trouble: String?

    init(
        _ entries: [Listeners.Entry], _ log: Log, _ loop: ControlLoop, settle: Duration,
        clock: @escaping () -> UInt64, wallClock: @escaping () -> Int64 = Clock.wallSeconds
    ) {
        (self.log, self.loop, self.settle) = (log, loop, settle)
        (self.clock, self.wallClock) = (clock, wallClock)
        takeOver(entries)
    }

    /// The certificates of these listeners have just been read.
    func takeOver(_ entries: [Listeners.Entry]) {
        trouble = nil
        expiry.forget()
        let files = Set(Self.readings(entries).flatMap { $0.certificates.files })
        if files == watch?.files ?? [] { return }
        // A descriptor that is closed is forgotten by the loop.
        watch = files.isEmpty ? nil : CertificateWatch(files: files, settle: settle, clock: clock)
        guard let number = watch?.number else { return }
        do throws(Errno) {
            try loop.watch(number)
        } catch {
            log.warn("changes of certificates are seen with delay: \(error)")
        }
    }

    private static func readings(_ entries: [Listeners.Entry]) -> [Reading] {
        entries.compactMap { entry in entry.options.certificates.map { Reading(entry: entry, certificates: $0) } }
    }

    /// A listener that speaks TLS, and what was read for it.
    private struct Reading {
        let entry: Listeners.Entry
        let certificates: ListenerCertificates
    }

    // MARK: Turns

    /// Does what is to be done now.
    ///
    /// - Parameter isBusy: a configuration is being taken over, and its certificates have been read.
    func turn(_ entries: [Listeners.Entry], isBusy: Bool) {
        guard let watch else { return }
        if !isBusy, watch.turn() { readAgain(entries) }
        for notice in expiry.turn(Listeners.certificates(entries), at: wallClock()) {
            log.write(notice.isOver ? .error : .warn, notice.text)
        }
    }

    /// Milliseconds until the next turn is due; nil for never.
    func pause(_ entries: [Listeners.Entry]) -> Int32? {
        guard let watch else { return nil }
        let seconds = expiry.pause(Listeners.certificates(entries), at: wallClock()) ?? .max
        return min(watch.pause, Int32(clamping: min(seconds, 3600) * 1000))
    }

    /// All or nothing: one that is not fit leaves every listener as it is.
    private func readAgain(_ entries: [Listeners.Entry]) {
        var changes: [(entry: Listeners.Entry, next: ListenerOptions, what: String)] = []
        do throws(ListenerCertificates.Trouble) {
            for reading in Self.readings(entries) {
                let next = try reading.certificates.readAgain()
                guard let what = ListenerCertificates.difference(from: reading.certificates, to: next) else { continue }
                changes.append((reading.entry, ListenerOptions(next, after: reading.entry.options), what))
            }
        } catch {
            let text = error.description
            if text != trouble { log.error("certificates have changed, those before serve on: \(text)") }
            trouble = text
            return
        }
        trouble = nil
        for change in changes {
            change.entry.options = change.next
            log.info("\(change.entry.listener.address): \(change.what), its files have changed")
        }
        if !changes.isEmpty { expiry.forget() }
    }
}
