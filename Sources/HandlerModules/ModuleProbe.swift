import Glibc

/// Lets a throw-away process try a module first: a crash or a hang there does no harm.
///
///     gateway                                        gateway --probe <copy>
///     init ── posix_spawn, the request as stdin ──▶ child: limits, dlopen, entry, start ..., stop ...
///     step ◀── one record before each step ────────   │
///       └── reaps it, and makes a sentence of how it ended and of the last step it announced
///
/// It belongs to the control thread, which steps it when one of its descriptors is readable or its time is up.
package final class ModuleProbe {
    /// Bytes of memory that a module may take in its probe, unless another limit is given.
    package static let usualMemory = 1 << 30
    /// Seconds after which a process whose gateway is gone ends itself, on top of its time.
    private static let grace = 60

    /// A module that may be loaded.
    package struct Passed {
        /// Why the start of a route said no, by its pattern; the module serves the others.
        package let refused: [String: ModuleError]
    }

    private let handler: String
    private let source: String
    private let memory: UInt64
    private let timeout: Duration
    private var process: ProbeProcess

    /// Begins to try a candidate with the routes it is to serve. `executable` is the gateway itself, but in tests.
    package init(
        _ candidate: Candidate, routes: [RouteSettings], timeout: Duration, memory: Int = usualMemory,
        executable: String = "/proc/self/exe"
    ) throws(ModuleError) {
        handler = candidate.handler
        source = candidate.source
        self.memory = UInt64(max(0, memory))
        self.timeout = timeout
        let request = ProbeRequest(
            handler: candidate.handler, generation: candidate.number, source: candidate.source, memory: self.memory,
            seconds: UInt32(clamping: min(timeout.components.seconds, 1_000_000) + Int64(Self.grace)), routes: routes)
        do throws(SystemError) {
            process = try ProbeProcess.start(executable: executable, module: candidate.path, request: request)
        } catch {
            throw Self.failure(error, handler, source)
        }
    }

    /// Readable when there is something to step for.
    package var descriptors: [Int32] { process.descriptors }

    /// Whether the descriptors tell of everything; if not, it wants to be stepped now and then.
    package var isHeard: Bool { process.tellsItsEnd }

    /// Whether the process has come up and begun with the module.
    package var isUp: Bool { !process.steps.isEmpty }

    /// Goes on without waiting; nil while the process lives, which it does not for long once its time is up.
    package func step(isOverdue: Bool) throws(ModuleError) -> Passed? {
        let end: ProbeProcess.End?
        do throws(SystemError) {
            end = try process.look()
        } catch {
            throw Self.failure(error, handler, source)
        }
        guard let end else {
            if isOverdue { process.end() }
            return nil
        }
        return try passed(end).get()
    }

    private func passed(_ end: ProbeProcess.End) -> Result<Passed, ModuleError> {
        let verdict = ProbeVerdict(
            steps: process.steps, end: end, timeout: timeout, memory: (process.lastMemory, memory))
        if let refusal = verdict.refusal(source: source) {
            let aside = verdict.accident.map { "The \($0) happened in a probe process; live traffic was not affected." }
            return .failure(error(refusal, output: process.said, aside: aside))
        }
        var refused: [String: ModuleError] = [:]
        for (route, refusal) in verdict.refusedRoutes { refused[route] = error(refusal, output: process.said) }
        return .success(Passed(refused: refused))
    }

    private func error(_ refusal: ProbeRefusal, output: String, aside: String? = nil) -> ModuleError {
        ModuleError(
            handler: handler, stage: .probing, reason: refusal.reason, place: refusal.place, remedy: refusal.remedy,
            output: output, aside: aside)
    }

    private static func failure(_ error: SystemError, _ handler: String, _ source: String) -> ModuleError {
        ModuleError(
            handler: handler, stage: .probing, reason: "its module could not be tried first (\(error))",
            place: "File: \(source)", remedy: "look at the limits of the process")
    }
}

extension ModuleProbe {
    /// Tries a candidate and waits for the verdict, for a caller that has nothing else to do; answers how long that
    /// took. A route whose start says no is an error like any other.
    @discardableResult
    package static func judge(
        _ candidate: Candidate, routes: [RouteSettings], timeout: Duration, memory: Int = usualMemory,
        executable: String = "/proc/self/exe"
    ) throws(ModuleError) -> Duration {
        let began = ContinuousClock.now
        let probe = try ModuleProbe(
            candidate, routes: routes, timeout: timeout, memory: memory, executable: executable)
        while true {
            let left = timeout - (ContinuousClock.now - began)
            if let passed = try probe.step(isOverdue: left <= .zero) {
                if let refusal = routes.lazy.compactMap({ passed.refused[$0.route] }).first { throw refusal }
                return ContinuousClock.now - began
            }
            probe.wait(left)
        }
    }

    private func wait(_ left: Duration) {
        var interests = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // Once it was killed there is no time limit left that would end the call.
        let most: Duration = isHeard && left > .zero ? left : .milliseconds(5)
        // An error, EINTR most likely, is a look too early.
        _ = unsafe poll(&interests, nfds_t(interests.count), most.pollMilliseconds)
    }
}
