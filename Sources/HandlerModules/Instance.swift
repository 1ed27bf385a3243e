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

    /// Calls `start` and waits for it; answers how long it took. Once, on the control thread.
    ///
    /// A start that is still busy after `timeout` cannot be stopped. It is left alone on its thread, the route does not
    /// get this instance, and should it succeed later, `stop` is called right behind it.
    @discardableResult
    package func start(_ settings: RouteSettings, timeout: Duration) throws(ModuleError) -> Duration {
        let began = ContinuousClock.now
        guard move(from: .created, to: .starting) else {
            throw refusal(settings, "was asked to start twice", "report this: it is a fault of the gateway")
        }
        let named = CrashSite(handler: generation.handler, generation: generation.number, route: settings.route)
        site.store(named.address, ordering: .relaxed)
        _ = generation.failureNote.take()
        do throws(SystemError) {
            // The answer is not needed: whoever moved the phase first, the thread or we, decides.
            _ = try call(timeout) { $0.callStart(settings) }
        } catch {
            if move(from: .starting, to: .late) {
                throw refusal(settings, "could not be started (\(error))", "look at the limits of the process")
            }
        }
        if move(from: .starting, to: .late) {
            throw refusal(
                settings, "was still busy with its start after \(timeout)",
                "raise start_timeout, or do the work after start has returned")
        }
        if phase == .refused,
            let answer = StartRefusal(
                status: status.load(ordering: .acquiring), note: generation.failureNote.take())
        {
            throw refusal(settings, answer.reason, answer.remedy)
        }
        return ContinuousClock.now - began
    }

    /// Tells it that gateway.conf changed; negative means it has to be reloaded instead. Control thread.
    package func reconfigure(_ settings: RouteSettings, timeout: Duration) throws(ModuleError) -> gw_status {
        guard phase == .running, unsafe generation.callbacks.reconfigure != nil else {
            return gw_status(GW_E_UNSUPPORTED)
        }
        _ = generation.failureNote.take()
        status.store(gw_status(GW_E_FAILED), ordering: .relaxed)
        do throws(SystemError) {
            let isDone = try call(timeout) { $0.callReconfigure(settings) }
            return isDone ? status.load(ordering: .acquiring) : gw_status(GW_E_FAILED)
        } catch {
            throw refusal(settings, "could not be reconfigured (\(error))", "look at the limits of the process")
        }
    }

    /// Calls `stop` and waits for it; false when still busy after `timeout`. After the last callback, which `last` may
    /// wait for as long as that takes. Control thread.
    package func stop(
        timeout: Duration, behind last: @escaping @Sendable () -> Void = {}
    ) throws(SystemError) -> Bool {
        guard move(from: .running, to: .stopping) else { return phase != .stopping }
        return try call(timeout) { instance in
            last()
            instance.callStop()
        }
    }

    /// Runs a call into the handler, behind those that are still busy; false when it did not return in time. Until it
    /// does, the image stays. Control thread.
    package func call(
        _ timeout: Duration, _ body: @escaping @Sendable (Instance) -> Void
    ) throws(SystemError) -> Bool {
        let running = RunningCall(generation)
        return try ControlCall.run(timeout: timeout) { [self] in
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

    private func callReconfigure(_ settings: RouteSettings) {
        let answer = unsafe settings.withConfiguration(instance: id) { configuration in
            crashSite.enter(CLINUX_RECONFIGURE)
            defer { CrashSite.leave() }
            return unsafe generation.callbacks.reconfigure?(selfPointer, configuration) ?? gw_status(GW_E_UNSUPPORTED)
        }
        status.store(answer, ordering: .releasing)
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
