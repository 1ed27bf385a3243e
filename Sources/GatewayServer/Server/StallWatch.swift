import CLinux
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// Finds callbacks that hold up a loop while they still do: a thread of its own looks at what each worker is doing.
///
/// Nothing of it is on the way of a message. Which callback runs a worker writes down for the record of a crash
/// (`CrashSite`); the watch puts a mark there, which the next callback writes over. A mark that still stands says that
/// the callback has not returned since. Routes with `dispatch pool` are called on other threads, which nobody looks at.
final class StallWatch: Sendable {
    private let log: Log
    /// The notes of the workers, by number. Held while they are looked at: a thread takes its note along when it ends.
    private let notes = Mutex<[UInt8: ThreadNote]>([:])
    /// The shortest `callback_stall` of all routes, in milliseconds; 0 while all are off.
    private let shortest = Atomic<UInt32>(0)
    private let isEnding = Atomic(false)
    private let waker: ControlWaker
    /// In the process of a handler: a callback that never comes back ends it, and what it knows goes on in another one.
    private let ledger: Ledger?

    init(_ log: Log, ledger: Ledger? = nil) throws(Errno) {
        (self.log, self.ledger) = (log, ledger)
        waker = try ControlWaker()
    }

    /// The calling thread is a worker.
    func enter(worker: UInt8) { notes.withLock { $0[worker] = ThreadNote.own } }

    /// The calling thread is none any more.
    func leave(worker: UInt8) { notes.withLock { $0[worker] = nil } }

    /// Control thread: these are the routes from now on.
    func watch(_ routes: [Route]) {
        let least = routes.filter { !$0.isPooled && $0.callbackStall > 0 }.map(\.callbackStall).min()
        shortest.store(least ?? 0, ordering: .relaxed)
        waker.ring()
    }

    /// Ends `run`.
    func end() {
        isEnding.store(true, ordering: .releasing)
        waker.ring()
    }

    // MARK: The watching thread

    /// Looks from time to time until it is ended.
    func run() {
        var findings = StallFindings()
        do throws(Errno) {
            let poller = try Poller()
            try poller.add(waker.waker.number, token: 0, interest: .readable)
            while !isEnding.load(ordering: .acquiring) {
                look(&findings)
                if try poller.wait(milliseconds: pause(findings)) > 0 { waker.waker.answer() }
            }
        } catch {
            log.error("callbacks that hold up a loop are not looked for (callback_stall): \(error)")
        }
    }

    private func look(_ findings: inout StallFindings) {
        let now = Clock.monotonicNanoseconds()
        var lines: [String] = []
        notes.withLock { notes in
            for (worker, note) in notes { lines += findings.note(note.look(), on: worker, at: now) }
        }
        for line in lines { log.warn(line) }
        if let ledger, let endless = findings.endless(at: now) { end(endless, ledger) }
    }

    /// Ends the process of a handler, as one that has died in that callback.
    private func end(_ endless: StallFindings.Endless, _ ledger: Ledger) -> Never {
        log.error("\(endless.text): its process is ended")
        Log.finish(patience: 200)
        clinux_begin_ending()
        clinux_await_rest()
        ledger.noteLast(endless.callback, of: endless.connection)
        _ = kill(getpid(), SIGKILL)
        // The signal comes before this does.
        _exit(1)
    }

    /// Milliseconds to the next look; nil when there is nothing to look for.
    private func pause(_ findings: StallFindings) -> Int32? {
        let shortest = Int32(clamping: shortest.load(ordering: .relaxed))
        if findings.isAnyStalled { return min(25, max(5, shortest / 4)) }
        if shortest == 0 { return nil }
        // What takes half as much longer is found for certain. Loops that rest are woken for seldom.
        return min(250, max(5, shortest / (findings.isAnyUnderWay ? 4 : 2)))
    }
}

/// What looking at the workers comes to, look by look: which callbacks take too long, and what is said of it.
struct StallFindings {
    /// A callback that was seen, and when first.
    private struct Candidate {
        let site: CrashSite
        let callback: clinux_callback
        let connection: UInt64
        let since: UInt64
        var isStall = false
        /// Its beginning was said, so its end is.
        var isTold = false
    }

    /// Of the same callback so often at most.
    private static let interval: UInt64 = 10_000_000_000
    private var candidates: [UInt8: Candidate] = [:]
    /// When each callback was last told of, and how often it was not told of since.
    private var told: [String: (at: UInt64, untold: Int)] = [:]

    /// A callback that was seen has not ended, as far as the last look could tell.
    var isAnyUnderWay: Bool { !candidates.isEmpty }

    /// A callback that was found too slow has not ended.
    var isAnyStalled: Bool { candidates.values.contains { $0.isStall } }

    /// Takes a look into account.
    ///
    /// - Returns: lines for the log.
    mutating func note(_ sighting: ThreadNote.Sighting?, on worker: UInt8, at now: UInt64) -> [String] {
        if var candidate = candidates[worker], let sighting, sighting.isSame {
            let line = grow(&candidate, worker, now)
            candidates[worker] = candidate
            return line.map { [$0] } ?? []
        }
        let former = candidates[worker]
        candidates[worker] = sighting.map {
            Candidate(site: $0.site, callback: $0.callback, connection: $0.connection, since: now)
        }
        guard let former, former.isTold else { return [] }
        return ["\(former.site.name): \(Self.what(former)) held up worker \(worker) for \(Self.took(former, now)) ms"]
    }

    /// The callback is still there.
    private mutating func grow(_ candidate: inout Candidate, _ worker: UInt8, _ now: UInt64) -> String? {
        let patience = candidate.site.patience
        guard !candidate.isStall, patience > 0, Self.took(candidate, now) >= UInt64(patience) else { return nil }
        candidate.isStall = true
        candidate.site.countStall()
        let name = candidate.site.name
        let key = "\(name) \(candidate.callback.rawValue)"
        var untold = 0
        if let last = told[key] {
            if now - last.at < Self.interval {
                told[key] = (last.at, last.untold + 1)
                return nil
            }
            untold = last.untold
        }
        told[key] = (now, 0)
        candidate.isTold = true
        let more = untold > 0 ? "; \(untold) more since the last time that was said" : ""
        return "\(name): \(Self.what(candidate)) has held up worker \(worker) for \(Self.took(candidate, now)) ms"
            + " and goes on (callback_stall \(patience)ms)\(more)"
    }

    /// A callback that has taken a hundred times what it may.
    struct Endless {
        let callback: clinux_callback
        let connection: UInt64
        let text: String
    }

    func endless(at now: UInt64) -> Endless? {
        for (worker, candidate) in candidates where candidate.isStall {
            let took = Self.took(candidate, now)
            guard took >= 100 * UInt64(candidate.site.patience) else { continue }
            return Endless(
                callback: candidate.callback, connection: candidate.connection,
                text: "\(candidate.site.name): \(Self.what(candidate)) has held up worker \(worker) for \(took) ms")
        }
        return nil
    }

    private static func what(_ candidate: Candidate) -> String {
        let call = "\(candidate.callback.name)()"
        return candidate.connection == 0
            ? call : "\(call) of connection \(String(candidate.connection, radix: 16))"
    }

    private static func took(_ candidate: Candidate, _ now: UInt64) -> UInt64 { (now - candidate.since) / 1_000_000 }
}
