package import CGatewayABI
import CLinux
import Synchronization

/// One generation serving one route: what `start` made, and what callbacks get as `self`.
///
/// It exists before `start` is called, because host functions may be called with its id from inside `start`.
package final class Instance: Sendable {
    /// Where it stands.
    package enum Phase: UInt8, AtomicRepresentable, Sendable {
        case created
        case starting
        case running
        /// `start` said no.
        case refused
        /// `start` is still busy after its time; when it comes back it is stopped at once.
        case late
        case stopping
        case stopped
    }

    /// Names it towards the handler; never used again.
    package let id: gw_instance
    /// Which route of the configuration it serves.
    package let routeIndex: Int
    package let generation: Generation

    private let currentPhase = Atomic(Phase.created)
    /// The handler's pointer as a number, which may cross threads; the handler answers for what is behind it.
    private let pointer = Atomic<UInt>(0)
    private let status = Atomic<gw_status>(0)
    private let site = Atomic<UInt>(0)
    /// [control] is serial, also where a call is given up on and the next one begun.
    private let control = Mutex<Void>(())

    package init(id: gw_instance, routeIndex: Int, generation: Generation) {
        self.id = id
        self.routeIndex = routeIndex
        self.generation = generation
    }

    package var phase: Phase { currentPhase.load(ordering: .acquiring) }

    /// The first argument of every callback; NULL is a value like any other. Any thread.
    package var selfPointer: UnsafeMutableRawPointer? {
        unsafe UnsafeMutableRawPointer(bitPattern: pointer.load(ordering: .acquiring))
    }

    /// Names it in the record of a crash; it names nothing before `start`. Any thread.
    package var crashSite: CrashSite { CrashSite(address: site.load(ordering: .relaxed)) }

    /// Calls `start` on a thread of its own, once; `startOutcome` tells what came of it. Control thread.
    ///
    /// - Parameter logLevel: of its `CrashSite`.
    package func beginStart(
        _ settings: RouteSettings, logLevel: UInt32 = 0, bell: @escaping @Sendable () -> Void
    ) throws(ModuleError) {
        guard move(from: .created, to: .starting) else {
            throw refusal(settings, "was asked to start twice", "report this: it is a fault of the gateway")
        }
        let named = CrashSite(
            handler: generation.handler, generation: generation.number, digest: generation.digest,
            route: settings.route)
        named.logLevel = logLevel
        site.store(named.address, ordering: .relaxed)
        _ = generation.failureNote.take()
        do throws(SystemError) {
            // The answer is not needed: the first to move the phase, the thread or we, decides.
            _ = try begin(bell: bell) { $0.callStart(settings) }
        } catch {
            _ = move(from: .starting, to: .late)
            throw refusal(settings, "could not be started (\(error))", "look at the limits of the process")
        }
    }

    /// Whether it has started; false while it is busy with that, and an error when it refused. Control thread.
    package func startOutcome(_ settings: RouteSettings) throws(ModuleError) -> Bool {
        let now = phase
        if now == .refused,
            let answer = StartRefusal(
                status: status.load(ordering: .acquiring), note: generation.failureNote.take())
        {
            throw refusal(settings, answer.reason, answer.remedy)
        }
        return now != .starting
    }

    /// Gives up on a start that is still busy, which cannot be stopped: it is left alone on its thread, the route does
    /// not get this instance, and should it succeed later, `stop` is called right behind it. Control thread.
    ///
    /// - Returns: why; nil when it has come back in this very moment.
    package func giveUpStart(_ settings: RouteSettings, after timeout: Duration) -> ModuleError? {
        guard move(from: .starting, to: .late) else { return nil }
        return refusal(
            settings, "was still busy with its start after \(timeout)",
            "raise start_timeout, or do the work after start has returned")
    }

    /// Tells it that gateway.conf changed; a negative answer means that another instance has to take its place, and so
    /// does nil: it has no `reconfigure`. Control thread.
    package func beginReconfigure(
        _ settings: RouteSettings, bell: @escaping @Sendable () -> Void
    ) throws(ModuleError) -> TimedCall<gw_status>? {
        guard phase == .running, unsafe generation.callbacks.reconfigure != nil else { return nil }
        _ = generation.failureNote.take()
        do throws(SystemError) {
            return try begin(bell: bell) { $0.callReconfigure(settings) }
        } catch {
            throw refusal(settings, "could not be reconfigured (\(error))", "look at the limits of the process")
        }
    }

    /// Calls `stop` on a thread of its own, after the last callback, which `last` may wait for as long as that takes;
    /// `phase` is `stopping` until it has returned. Harmless when there is nothing to stop. Control thread.
    package func beginStop(
        behind last: @escaping @Sendable () -> Void = {}, bell: @escaping @Sendable () -> Void
    ) throws(SystemError) {
        guard move(from: .running, to: .stopping) else { return }
        do throws(SystemError) {
            _ = try begin(bell: bell) { instance in
                last()
                instance.callStop()
            }
        } catch {
            // So that it can be tried again.
            _ = move(from: .stopping, to: .running)
            throw error
        }
    }

    /// Runs a call into the handler on a thread of its own, behind those that are still busy. Until it has come back
    /// the image stays. Control thread.
    package func begin<Answer: Sendable>(
        bell: @escaping @Sendable () -> Void, _ body: @escaping @Sendable (Instance) -> Answer
    ) throws(SystemError) -> TimedCall<Answer> {
        let running = RunningCall(generation)
        return try TimedCall(bell: bell) { [self] in
            withExtendedLifetime(running) { control.withLock { _ in body(self) } }
        }
    }

    private func move(from old: Phase, to new: Phase) -> Bool {
        currentPhase.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing).exchanged
    }
}

extension Instance {
    private func callStart(_ settings: RouteSettings) {
        var made: UnsafeMutableRawPointer?
        let answer = unsafe settings.withConfiguration(instance: id) { configuration in
            crashSite.enter(CLINUX_START)
            defer { CrashSite.leave() }
            return unsafe generation.callbacks.start(generation.host, configuration, &made)
        }
        status.store(answer, ordering: .releasing)
        pointer.store(UInt(bitPattern: made), ordering: .releasing)
        if answer < 0 {
            // The caller may have given up already, then this says that nothing is left to stop.
            currentPhase.store(.refused, ordering: .releasing)
        } else if !move(from: .starting, to: .running) {
            callStop()
        }
    }

    private func callReconfigure(_ settings: RouteSettings) -> gw_status {
        unsafe settings.withConfiguration(instance: id) { configuration in
            crashSite.enter(CLINUX_RECONFIGURE)
            defer { CrashSite.leave() }
            return unsafe generation.callbacks.reconfigure?(selfPointer, configuration) ?? gw_status(GW_E_UNSUPPORTED)
        }
    }

    private func callStop() {
        crashSite.enter(CLINUX_STOP)
        unsafe generation.callbacks.stop?(selfPointer)
        CrashSite.leave()
        currentPhase.store(.stopped, ordering: .releasing)
    }

    private func refusal(_ settings: RouteSettings, _ reason: String, _ remedy: String) -> ModuleError {
        ModuleError(
            handler: generation.handler, stage: .starting, reason: "generation \(generation.number) \(reason)",
            place: "Route: \(settings.route) (\(settings.origin)). File: \(generation.source)", remedy: remedy)
    }
}
