import GatewayIO
import HandlerModules
import Synchronization

/// A generation with its instances, one for each route it serves. It belongs to the control thread.
final class ServingGeneration {
    let generation: Generation
    let context: HostContext
    /// By the name of the route.
    var instances: [String: RouteInstance] = [:]
    /// Passed when no worker can come upon it by a look-up any more.
    var fence: Fence?
    /// When it came to serve.
    var since: UInt64 = 0
    /// When its file was written, in seconds since 1970; nil when that could not be seen.
    let builtAt: Int64?
    /// When it stopped getting new connections; nil while it gets them.
    var retiredAt: UInt64?
    /// When its instances were told to stop.
    var stopBegan: UInt64?
    /// That an instance does not come back from its stop has been said.
    var saidBusy = false
    /// Everything of it has been stopped.
    var isOver = false
    /// The instances have been told that they are draining.
    var isTold = false

    /// Routes whose start said no, and why.
    var refused: [(route: String, error: ModuleError)] = []
    /// Which generation served this build first, where the operator went back to it.
    var buildOf: UInt64?
    /// The module is a copy of what proved good, because the file is of no use.
    var isStandIn = false
    /// The generation never came to serve.
    var isAbandoned = false
    /// The image is being taken out of memory.
    var unloading: TimedCall<UnloadOutcome>?
    /// The build has proved good, and a copy is kept of it.
    var isProven = false
    /// When the generation began to be looked at for that, and how often it had failed by then.
    var probation: (began: UInt64, failures: Int)?

    /// Where it runs in a process of its own.
    var isolated: IsolatedHandler?

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
        instances.values.reduce(0) { $0 + $1.references }
    }

    /// Nothing of it is in use any more, but perhaps by other instances of its generation.
    var isUnused: Bool {
        references == 0 && (isPart || context.borrowedBuffers == 0)
            && instances.values.allSatisfy { $0.instanceContext.callbackQueues.load(ordering: .acquiring) == 0 }
    }

    /// Whether its handler holds none of its instances, and so cannot any more.
    func endHolds() -> Bool { instances.values.allSatisfy { $0.instanceContext.endHolds() } }

    var failures: Int {
        instances.values.reduce(0) { unsafe $0 + $1.binding.pointee.failures.load(ordering: .relaxed) }
    }

    /// Callbacks that held up a loop.
    var stalls: Int { instances.values.reduce(isolated?.tallies.stalls ?? 0) { $0 + $1.instance.crashSite.stalls } }
}
