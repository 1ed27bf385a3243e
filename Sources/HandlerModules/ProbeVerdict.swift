import Glibc

/// What a probe process showed, and the sentence that it comes down to.
struct ProbeVerdict {
    let steps: [ProbeStep]
    let end: ProbeProcess.End
    /// How long it was allowed to take.
    let timeout: Duration
    /// Bytes of memory it had in the end, and how many it might have had.
    let memory: (used: UInt64, limit: UInt64)

    /// nil when the module passed.
    func refusal(source: String) -> ProbeRefusal? {
        if case .refused(let refusal)? = steps.last { return refusal }
        if steps.last == .passed, end == .exited(status: 0) { return nil }
        let (doing, place) = whereabouts
        let file = "File: \(source)"
        switch end {
        case .timedOut:
            return ProbeRefusal(
                reason: "hung while \(doing) (still busy after \(timeout) \(place))", place: file,
                remedy: "return sooner, or allow it more time (start_timeout)")
        case .exited(let status):
            return ProbeRefusal(
                reason: "ended the process while \(doing) (exit status \(status) \(place))", place: file,
                remedy: "return an error after host->fail instead of calling exit")
        case .killed(let signal) where isOutOfMemory:
            let used = "\(memory.used >> 20) MiB in use of the \(memory.limit >> 20) MiB that a probe may have"
            return ProbeRefusal(
                reason: "ran out of memory while \(doing) (\(SignalName.of(signal)) \(place), with \(used))",
                place: file, remedy: "find out what takes so much memory")
        case .killed(let signal):
            return ProbeRefusal(
                reason: "crashed while \(doing) (\(SignalName.of(signal)) \(place))", place: file,
                remedy: "find the fault with a debugger, and put the corrected file there")
        }
    }

    /// The routes whose start said no, and why.
    var refusedRoutes: [(route: String, refusal: ProbeRefusal)] {
        steps.compactMap { step in
            guard case .routeRefused(let route, let refusal) = step else { return nil }
            return (route, refusal)
        }
    }

    /// The word for how the process ended, for "The ... happened in a probe process"; nil when it did as it should.
    var accident: String? {
        switch steps.last {
        case .refused: return nil
        default: break
        }
        switch end {
        case .timedOut: return "hang"
        case .exited: return "exit"
        case .killed: return "crash"
        }
    }

    /// There is no signal for it: the module gets NULL from malloc, and what it makes of that ends it. So a process
    /// that died with nearly all it might have is taken to have died of that.
    private var isOutOfMemory: Bool {
        memory.used >= memory.limit - memory.limit / 8
    }

    private var whereabouts: (doing: String, place: String) {
        switch steps.last {
        case nil: ("being set up", "in the probe process itself")
        case .opening?: ("loading", "in a library constructor, before gw_handler_entry_v1")
        case .calling?: ("loading", "in gw_handler_entry_v1")
        case .starting(let route)?, .routeRefused(let route, _)?: ("starting", "in start of route \(route)")
        case .stopping(let route)?: ("stopping", "in stop of route \(route)")
        case .passed?, .refused?: ("ending", "after its last call")
        }
    }
}
