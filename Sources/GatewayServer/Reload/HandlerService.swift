import CGatewayABI
import GatewayConfiguration
import GatewayControl
import GatewayIO
import GatewayMetrics
import Glibc
import HandlerModules
import Synchronization

/// One handler file in service: the generation that gets new connections, and those that still have some.
/// It belongs to the control thread.
final class HandlerService {
    let name: String
    /// What host functions compare: connections of other handlers are closed to this one.
    let number: UInt32
    let module: Module
    var serving: ServingGeneration?
    /// Oldest first.
    var retiring: [ServingGeneration] = []
    /// The builds that served before, for going back to them.
    var history = BuildHistory()
    var lastOutcome: ReloadOutcome?

    /// How many reloads have come to what, and how long those took that replaced a generation.
    private(set) var reloadCounts: [ReloadOutcome.Result: UInt64] = [:]
    let reloadDurations = DurationHistogram(.reload)

    func count(_ outcome: ReloadOutcome) {
        reloadCounts[outcome.result, default: 0] += 1
        if outcome.result == .switched {
            reloadDurations.observe(nanoseconds: UInt64(max(0, outcome.milliseconds)) * 1_000_000)
        }
    }

    /// How often a process of it has died.
    var processDeaths: UInt64 = 0

    /// Reloads that were asked for; the first one may be under way.
    var reloads: [Reload] = []
    /// The reload that had the last outcome.
    var latest: Reload?

    /// What was in the file when it was last read.
    var fileDigest: UInt64?
    /// The last file that was refused: it is not tried again because the watch or another request notices it.
    struct Refusal {
        /// Nil when it could not be read.
        let digest: UInt64?
        let error: ModuleError
        /// Monotonic nanoseconds.
        let at: UInt64
    }
    var refusal: Refusal?
    /// What was decided and holds over a restart.
    var standing = Standing()
    /// Builds that killed an earlier process.
    var crashes: [UInt64: CrashRecord] = [:]
    /// Why nothing serves, or something else than the file; nil where all is well.
    var trouble: String?

    /// Connections that are with older generations.
    var draining: Int { retiring.reduce(0) { $0 + ($1.isAbandoned ? 0 : $1.references) } }

    /// Whether connections are still with routes that have left this generation.
    func hasParts(of generation: Generation) -> Bool {
        retiring.contains { $0.isPart && !$0.isOver && $0.generation === generation }
    }

    /// Generations that have ended, newest first.
    private(set) var ended: [Ended] = []

    /// A generation that has ended, as far as people want to know.
    struct Ended {
        let generation: Generation
        /// What became of its image.
        let outcome: UnloadOutcome
        /// Monotonic nanoseconds.
        let at: UInt64
        let builtAt: Int64?
        let failures: Int
        let stalls: Int
    }

    /// Keeps the newest `most` of those that have ended in sight.
    func remember(_ serving: ServingGeneration, _ outcome: UnloadOutcome, at now: UInt64, most: Int) {
        let entry = Ended(
            generation: serving.generation, outcome: outcome, at: now,
            builtAt: serving.builtAt, failures: serving.failures, stalls: serving.stalls)
        ended.insert(entry, at: 0)
        if ended.count > most { ended.removeLast(ended.count - most) }
    }

    init(name: String, number: UInt32) {
        self.name = name
        self.number = number
        module = Module(handler: name)
    }
}

extension HandlerService {
    /// Why the file is not loaded although it is there.
    var heldBack: String {
        guard let held = standing.rolledBack else { return "" }
        return "\(whereRolledBack(held.generation)); `gateway reload \(name)` loads it all the same"
    }

    /// Where a rollback leads.
    func whereRolledBack(_ build: UInt64) -> String {
        let older = history.entries.count
        let depth =
            switch older {
            case 0: "nothing older is kept"
            case 1: "one older build is kept"
            default: "\(older) older builds are kept"
            }
        return "rolled back to the build of generation \(build) (\(depth)), and the file is not loaded until it changes"
    }

    /// Why there is nothing to roll back to.
    var noWayBack: String {
        guard let held = standing.rolledBack else { return "there is no generation to go back to" }
        return "there is no older build to go back to: it is at the build of generation \(held.generation)"
    }

    /// Why a build that killed an earlier process is not loaded.
    func quarantined(_ crash: CrashRecord, _ path: String?) -> ModuleError {
        ModuleError(
            handler: name, stage: .staging,
            reason: "its file is the build that killed the gateway at \(crash.time) (\(crash.what))",
            place: "File: \(path ?? "gone"), build \(StatusReport.Generation.digestText(crash.digest))",
            remedy: "put a corrected file there; `gateway reload \(name)` loads this one all the same")
    }
}
