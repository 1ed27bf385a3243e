import CGatewayABI
import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// One handler file in service: the generation that gets new connections, and those that still have some.
/// It belongs to the control thread.
final class HandlerService {
    /// A generation with its instances, one for each route it serves.
    final class Serving {
        let generation: Generation
        let context: HostContext
        /// By the pattern of the route.
        var posts: [String: Post] = [:]
        /// Passed when no worker can come upon it by a look-up any more.
        var fence: Fence?
        /// When it came to serve.
        var since = Clock.monotonicNanoseconds()
        /// When its file was written, in seconds since 1970; nil when that could not be seen.
        let builtAt: Int64?
        /// When it stopped getting new connections; nil while it gets them.
        var retiredAt: UInt64?
        /// When its instances were told to stop.
        var stopBegan: UInt64?
        /// That one of them does not come back from it has been said.
        var saidBusy = false
        /// Everything of it has been stopped.
        var isOver = false
        /// Its instances have been told that they are draining.
        var isTold = false

        /// Routes whose start said no, and why.
        var refused: [(pattern: String, error: ModuleError)] = []
        /// Which generation served this build first, where somebody went back to it.
        var buildOf: UInt64?
        /// It is a copy of what proved good, because the file is of no use.
        var isStandIn = false
        /// It never came to serve.
        var isAbandoned = false
        /// Its image is being taken out of memory.
        var unloading: TimedCall<UnloadOutcome>?
        /// It has proved good, and a copy is kept of it.
        var isProven = false
        /// When it began to be looked at for that, and how often it had failed by then.
        var trial: (began: UInt64, failures: Int)?

        /// Some instances of a generation that goes on serving elsewhere.
        let isPart: Bool

        init(_ generation: Generation, context: HostContext, isPart: Bool = false) {
            self.generation = generation
            builtAt = ModuleInfo.modified(generation.source)
            self.context = context
            self.isPart = isPart
        }

        /// Requests and connections that are with it.
        var references: Int {
            posts.values.reduce(0) { $0 + $1.references }
        }

        /// Nothing of it is in use any more, but perhaps by other instances of its generation.
        var isUnused: Bool {
            references == 0 && (isPart || context.borrowedBuffers == 0)
                && posts.values.allSatisfy { $0.record.lanes.load(ordering: .acquiring) == 0 }
        }

        var failures: Int {
            posts.values.reduce(0) { unsafe $0 + $1.binding.pointee.failures.load(ordering: .relaxed) }
        }
    }

    /// An instance at a route.
    @safe struct Post {
        let instance: Instance
        var binding: UnsafeMutablePointer<Binding>
        var configuration: RouteConfiguration
        /// Bindings of the same instance that some connections may still hold.
        var former: [UnsafeMutablePointer<Binding>] = unsafe []

        init(_ instance: Instance, _ binding: UnsafeMutablePointer<Binding>, _ configuration: RouteConfiguration) {
            self.instance = instance
            unsafe self.binding = binding
            self.configuration = configuration
        }

        var references: Int {
            let bound = unsafe bindings.reduce(0) { unsafe $0 + $1.pointee.references.load(ordering: .acquiring) }
            return bound + record.pending.load(ordering: .acquiring)
        }

        /// What other threads know of the instance.
        var record: InstanceContext { unsafe binding.pointee.record }

        /// The place of its route in the table that is being made.
        var route: Int { unsafe binding.pointee.route.index }

        /// All bindings that connections of this instance may hold.
        var bindings: [UnsafeMutablePointer<Binding>] {
            let plain = unsafe [binding] + former
            return unsafe plain + plain.compactMap { unsafe $0.pointee.other }
        }
    }

    let name: String
    /// What host functions compare: connections of other handlers are closed to this one.
    let number: UInt32
    let module: Module
    var serving: Serving?
    /// Oldest first.
    var retiring: [Serving] = []
    /// The builds that served before, for going back to them.
    var history = BuildHistory()
    var lastOutcome: ReloadOutcome?

    /// Rounds that were asked for; the first one may be under way.
    var rounds: [Reload] = []
    /// The round that had the last outcome.
    var latest: Reload?

    /// What was in the file when it was last read.
    var fileDigest: UInt64?
    /// The last file that was refused: it is not tried again because somebody else notices it.
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

    /// What of connections is with older generations.
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
    }

    /// Keeps the newest `most` of those that have ended in sight.
    func remember(_ serving: Serving, _ outcome: UnloadOutcome, most: Int) {
        let entry = Ended(
            generation: serving.generation, outcome: outcome, at: Clock.monotonicNanoseconds(),
            builtAt: serving.builtAt, failures: serving.failures)
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
