import CGatewayABI
import GatewayConfiguration
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
        let since = Clock.monotonicNanoseconds()
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

        /// Some instances of a generation that goes on serving elsewhere.
        let isPart: Bool

        init(_ generation: Generation, context: HostContext, isPart: Bool = false) {
            self.generation = generation
            builtAt = ModuleFacts.modified(generation.source)
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
        var record: InstanceRecord { unsafe binding.pointee.record }

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
    /// The copy of the generation before, for rolling back to it.
    private(set) var previous: (path: String, number: UInt64)?
    var lastOutcome: ReloadOutcome?

    /// A second name for the copy of the previous generation, so that it outlives the generation.
    func keepPrevious() {
        guard let previous, !previous.path.hasSuffix(Self.kept) else { return }
        let path = previous.path + Self.kept
        // Where it cannot be linked the copy stays good for as long as the image is mapped.
        guard unsafe link(previous.path, path) == 0 else { return }
        self.previous = (path, previous.number)
    }

    /// Remembers which generation to go back to; nil for none.
    func setPrevious(_ generation: Generation?) {
        if let previous, previous.path.hasSuffix(Self.kept) { _ = unsafe unlink(previous.path) }
        previous = generation.map { ($0.path, $0.number) }
    }

    private static let kept = ".previous"

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
