/// Lets a throw-away process try a module first: what it does there, a crash or a hang, is done to nobody.
///
///     gateway                                        gateway --probe <copy>
///     judge ── posix_spawn, the request as stdin ──▶ child: limits, dlopen, entry, start ..., stop ...
///       │   ◀── one record before each step ────────   │
///       └── reaps it, and makes a sentence of how it ended and of the last step it announced
package enum ModuleProbe {
    /// Octets of memory that a module may take in its probe, unless somebody says otherwise.
    package static let usualMemory = 1 << 30
    /// Seconds after which a process that nobody is left to end ends itself, on top of its time.
    private static let grace = 60

    /// Tries a candidate with the routes it is to serve; answers how long that took. Blocks the control thread for as
    /// long, a few milliseconds for a module that behaves.
    ///
    /// `executable` is the gateway itself, but in tests.
    @discardableResult
    package static func judge(
        _ candidate: borrowing Candidate, routes: [RouteSettings], timeout: Duration, memory: Int = usualMemory,
        executable: String = "/proc/self/exe"
    ) throws(ModuleError) -> Duration {
        let began = ContinuousClock.now
        let request = ProbeRequest(
            handler: candidate.handler, generation: candidate.number, source: candidate.source,
            memory: UInt64(max(0, memory)),
            seconds: UInt32(clamping: min(timeout.components.seconds, 1_000_000) + Int64(grace)), routes: routes)
        let (verdict, output) = try run(request, module: candidate.path, timeout: timeout, executable: executable)
        guard let refusal = verdict.refusal(source: candidate.source) else { return ContinuousClock.now - began }
        throw ModuleError(
            handler: candidate.handler, stage: .probing, reason: refusal.reason, place: refusal.place,
            remedy: refusal.remedy, output: output,
            aside: verdict.accident.map { "The \($0) happened in a probe process; live traffic was not affected." })
    }

    private static func run(
        _ request: ProbeRequest, module: String, timeout: Duration, executable: String
    ) throws(ModuleError) -> (ProbeVerdict, output: String) {
        do throws(SystemError) {
            var process = try ProbeProcess.start(executable: executable, module: module, request: request)
            let end = try process.wait(timeout: timeout)
            let verdict = ProbeVerdict(
                steps: process.steps, end: end, timeout: timeout, memory: (process.largestMemory, request.memory))
            return (verdict, process.said)
        } catch {
            throw ModuleError(
                handler: request.handler, stage: .probing, reason: "its module could not be tried first (\(error))",
                place: "File: \(request.source)", remedy: "look at the limits of the process")
        }
    }
}
