import GatewayConfiguration
import GatewayIO
import HandlerModules

/// The replacement of a handler, from the wish to the end of the generation that was replaced: a machine that the
/// control loop steps, and that never waits in it. What takes time is a child process, or runs on a thread of its own.
///
///     idle ▶ settling ▶ staging ▶ probing ▶ loading ▶ starting ▶ switching ▶ handing over ▶ retiring ▶ gone | pinned
///                          └─────────┴──────────┴──────────┴──▶ refused: what served before goes on
final class Reload {
    /// Where it stands; `settling` is the watch's part (`ModuleWatch`), before there is a reload.
    enum State: String {
        case idle, settling, staging, probing, loading, starting, switching
        case handingOver = "handing over"
        /// The generation that was replaced still has connections, or is being stopped.
        case retiring
        /// The image of the generation left memory, or stays there.
        case gone, pinned
    }

    /// What is to serve.
    enum Kind: Equatable {
        /// What lies in the handler's file.
        case file
        /// The newest of the builds that served before.
        case rollback
    }

    /// Where the module comes from.
    enum Source {
        case file
        /// The build of an earlier generation, because the operator went back to it.
        case rollback(path: String, generation: UInt64)
        /// A copy of what proved good, because the file is of no use.
        case standIn(LastGood.Kind, why: String)

        var isFile: Bool { if case .file = self { true } else { false } }
    }

    /// What is under way.
    enum Work {
        case nothing
        case staging(TimedCall<ModuleLoader.Copy>)
        case probing(ModuleProbe, Candidate)
        case loading(TimedCall<Result<Generation, ModuleError>>)
        case starting(RouteStarts)
        /// In a process of its own.
        case launching(IsolatedLoading)
        case handingOver
    }

    /// How long a disk may take to give a copy of a module.
    private static let stagingMilliseconds: Int64 = 60_000
    /// How long at least a probe process may take to come up, and a module to be mapped: `start_timeout` is about what
    /// the handler does.
    private static let leastMilliseconds: Int64 = 10_000

    let service: HandlerService
    let handlerManager: HandlerManager
    let kind: Kind
    let cause: String
    /// An operator named the handler: what is held back or was refused before is tried all the same.
    var isExplicit: Bool
    /// Something else than the file has changed that a process of its own is started with.
    var isForced = false
    /// No operator asked: the watch saw the file change.
    private(set) var isAutomatic: Bool
    /// The routes it is for, if not those of the configuration: then a `ConfigurationChange` commits it.
    let foreignPlaces: [Place]?
    private(set) var askedAt: UInt64
    private(set) var began: UInt64 = 0
    /// When new handshakes began to go to the new generation.
    var switchedAt: UInt64 = 0
    /// What was wrong with the file itself, while copies are tried.
    var firstError: ModuleError?

    /// A route and what the file says of it.
    struct Place {
        let route: Route
        let configuration: RouteConfiguration
    }

    var state = State.idle
    var outcome: ReloadOutcome?
    var source = Source.file
    private(set) var places: [Place] = []
    /// What is in the file that is tried; nil when it could not be read.
    private(set) var digest: UInt64?
    var work = Work.nothing
    /// Monotonic nanoseconds: when `work` has taken too long.
    var deadline: UInt64?
    private var watched: [Int32] = []
    /// The probe process has begun with the module.
    private var isProbeUp = false
    /// Routes whose start said no in the probe.
    private(set) var refusedRoutes: [String: ModuleError] = [:]
    /// The generation that is being brought up, and then serves.
    var serving: ServingGeneration?
    /// The one that it replaced.
    var replaced: ServingGeneration?
    var handovers: [Handover] = []
    /// Requests and connections that `reload close` sends away.
    var sentAway = 0

    init(
        _ service: HandlerService, _ handlerManager: HandlerManager, _ kind: Kind, cause: String,
        isExplicit: Bool = false,
        isAutomatic: Bool = false, places: [Place]? = nil
    ) {
        self.service = service
        self.handlerManager = handlerManager
        self.kind = kind
        self.cause = cause
        self.isExplicit = isExplicit
        self.isAutomatic = isAutomatic
        foreignPlaces = places
        askedAt = handlerManager.server.clock()
    }

    /// Whether it is between its begin and its outcome.
    var isUnderWay: Bool { began != 0 && outcome == nil }

    /// Takes in another request for the same, while it has not begun.
    func join(isExplicit: Bool, isAutomatic: Bool) {
        self.isExplicit = self.isExplicit || isExplicit
        self.isAutomatic = self.isAutomatic && isAutomatic
        askedAt = handlerManager.server.clock()
    }

    /// When it is to be stepped even if nothing rings.
    var nextStep: UInt64? {
        if case .starting(let starts) = work { return starts.nextStep }
        // An old kernel does not tell of the end of a child.
        if case .probing(let probe, _) = work, !probe.isHeard { return handlerManager.deadline(milliseconds: 5) }
        return deadline
    }

    // MARK: Stepping

    /// Begins: from here on the routes of the handler do not change.
    func begin() {
        began = handlerManager.server.clock()
        places = foreignPlaces ?? handlerManager.places(of: service.name)
        if places.isEmpty { return end(.unchanged, "no route names it any more, nothing was done") }
        let isOff = places.contains { $0.configuration.limits.reload == .off }
        switch kind {
        case .file where service.serving != nil && isOff:
            return end(.unchanged, "reload is off for it, nothing was done")
        case .file: source = .file
        case .rollback:
            guard let entry = service.history.newest else { return end(.refused, service.noWayBack) }
            source = .rollback(path: entry.path, generation: entry.generation)
            handlerManager.log.info(
                "handler \"\(service.name)\": rolling back to the build of generation \(entry.generation) (\(cause))")
        }
        if kind == .file, service.serving != nil {
            handlerManager.log.info("handler \"\(service.name)\": reloading (\(cause))")
        }
        stage()
    }

    /// Goes on as far as it can without waiting.
    func step(_ now: UInt64) {
        while advance(now) {}
    }

    /// - Returns: whether there may be more to do at once.
    private func advance(_ now: UInt64) -> Bool {
        let isOverdue = deadline.map { now >= $0 } ?? false
        switch work {
        case .nothing:
            lookAfterReplaced()
            return false
        case .staging(let call):
            if let copy = call.answer { return staged(copy) }
            if isOverdue { refuse(timeoutError(.staging, "was still being copied after 60 s")) }
        case .probing(let probe, let candidate): return look(probe, candidate, isOverdue)
        case .loading(let call):
            if let result = call.answer { return loaded(result) }
            if isOverdue {
                let most = Duration.milliseconds(max(longestStart, Self.leastMilliseconds))
                refuse(timeoutError(.loading, "its module was still being loaded after \(most)"))
            }
        case .starting(let starts): return look(starts, now)
        case .launching(let loading): return look(loading)
        case .handingOver: return lookAtHandovers(isOverdue)
        }
        return isOverdue
    }

    private func timeoutError(_ stage: ModuleError.Stage, _ reason: String) -> ModuleError {
        ModuleError(
            handler: service.name, stage: stage, reason: reason,
            place: "Handler: \(service.name)",
            remedy: "look at the disk and at what the module does in its constructors")
    }

    private var longestStart: Int64 { places.map(\.configuration.limits.startTimeoutMilliseconds).max() ?? 10_000 }

    private var path: String? {
        switch source {
        case .file: handlerManager.given?.path
        case .rollback(let path, _): path
        case .standIn(let kind, _): handlerManager.lastGood.recall(service.name, kind)
        }
    }

    // MARK: Staging

    func stage() {
        state = .staging
        let (loader, order) = (handlerManager.loader, ModuleLoader.Order(service.module, from: path))
        run { () throws(SystemError) in
            work = .staging(try TimedCall(bell: handlerManager.ring) { loader.prepare(order) })
        }
        deadline = handlerManager.deadline(milliseconds: Self.stagingMilliseconds)
    }

    /// Begins something on a thread; without one the reload comes to nothing.
    private func run(_ body: () throws(SystemError) -> Void) {
        do throws(SystemError) {
            try body()
        } catch {
            refuse(
                ModuleError(
                    handler: service.name, stage: .staging, reason: "there is no thread for it (\(error))",
                    place: "Handler: \(service.name)", remedy: "look at the limits of the process"))
        }
    }

    private func staged(_ copy: ModuleLoader.Copy) -> Bool {
        work = .nothing
        deadline = nil
        digest = copy.digest
        service.module.home = copy.home ?? service.module.home
        if source.isFile { service.fileDigest = copy.digest }
        if source.isFile, let digest = copy.digest, isSettledBy(digest) { return false }
        switch copy.result {
        case .failure(let error): refuse(error)
        case .success(let candidate): isToBeProbed ? probe(candidate) : useCopy(candidate)
        }
        return true
    }

    /// Copies served before, and the process of a handler is given what has been tried.
    private var isToBeProbed: Bool { source.isFile && handlerManager.given == nil }

    /// Whether what is known of a build says that nothing is to be done with it.
    private func isSettledBy(_ digest: UInt64) -> Bool {
        // What was given up is tried once more.
        if let current = service.serving, current.generation.digest == digest, !isForced,
            current.isolated?.failure == nil
        {
            end(.unchanged, "the file is identical to generation \(current.generation.number), nothing to do")
            return true
        }
        if let refusal = service.refusal, refusal.digest == digest, refusal.at >= askedAt || !isExplicit {
            // The build was tried already, perhaps for another request: only one that names the handler wants it tried
            // again.
            let serving = service.serving?.generation.number
            end(.refused, refusal.error.serving(serving).description, isNews: !isAutomatic)
            return true
        }
        if isExplicit { return false }
        if let held = service.standing.rolledBack, held.fileDigest == digest {
            if service.serving != nil {
                end(.unchanged, service.heldBack)
                return true
            }
            if let path = handlerManager.lastGood.recall(service.name, .rollback) {
                source = .rollback(path: path, generation: held.generation)
                stage()
                return true
            }
        }
        if let crash = crash(of: digest) {
            refuse(service.quarantined(crash, handlerManager.locator.path(of: service.name)))
            return true
        }
        return false
    }

    /// How a build has killed an earlier process; nil also where that was not the gateway's, and would not be.
    private func crash(of digest: UInt64) -> CrashRecord? {
        places.contains { $0.configuration.isIsolated } ? nil : service.crashes[digest]
    }

    /// A copy that served before needs no probe.
    private func useCopy(_ candidate: Candidate) {
        if kind == .file, let crash = crash(of: candidate.digest) {
            let why =
                if case .standIn(_, let why) = source { why } else { service.quarantined(crash, nil).description }
            return standIn(for: why, after: source)
        }
        load(candidate)
    }

    // MARK: Probing

    private func probe(_ candidate: Candidate) {
        state = .probing
        isProbeUp = false
        deadline = handlerManager.deadline(milliseconds: max(longestStart, Self.leastMilliseconds))
        let settings = places.map { RouteSettings($0.configuration, isProbe: true) }
        do throws(ModuleError) {
            let probe = try ModuleProbe(
                candidate, routes: settings, timeout: .milliseconds(longestStart), executable: handlerManager.prober)
            work = .probing(probe, candidate)
            watch(probe)
        } catch {
            refuse(error)
        }
    }

    private func look(_ probe: ModuleProbe, _ candidate: Candidate, _ isOverdue: Bool) -> Bool {
        do throws(ModuleError) {
            guard let passed = try probe.step(isOverdue: isOverdue) else {
                watch(probe)
                if !isProbeUp, probe.isUp {
                    isProbeUp = true
                    deadline = handlerManager.deadline(milliseconds: longestStart)
                }
                // The process was killed, which takes the kernel a moment.
                if isOverdue { deadline = handlerManager.deadline(milliseconds: 5) }
                return false
            }
            stopWatching()
            refusedRoutes = passed.refused
            if let error = objection { throw error }
            load(candidate)
        } catch {
            stopWatching()
            refuse(error)
        }
        return true
    }

    /// Why a module that behaves is not worth loading: a route that serves would be lost, or no route would start.
    private var objection: ModuleError? {
        let errors = places.compactMap { place in refusedRoutes[place.route.name].map { (place, $0) } }
        let lost = errors.first { service.serving?.instances[$0.0.route.name] != nil }
        guard let error = (lost ?? (errors.count == places.count ? errors.first : nil))?.1 else { return nil }
        state = .starting
        return error
    }

    /// Hears of a probe's descriptors that are open; those at their end would wake us for ever.
    private func watch(_ probe: ModuleProbe) {
        let open = probe.descriptors
        for number in watched where !open.contains(number) { handlerManager.loop.forget(number) }
        for number in open where !watched.contains(number) {
            // What cannot be watched is looked at when its time is up.
            do throws(Errno) { try handlerManager.loop.watch(number) } catch {
                handlerManager.log.warn("a probe is not heard: \(error)")
            }
        }
        watched = open
    }

    func stopWatching() {
        for number in watched { handlerManager.loop.forget(number) }
        watched = []
    }

    // MARK: Loading

    private func load(_ candidate: Candidate) {
        state = .loading
        if handlerManager.given == nil, places.contains(where: { $0.configuration.isIsolated }) {
            return launch(candidate)
        }
        let loader = handlerManager.loader
        run { () throws(SystemError) in
            work = .loading(
                try TimedCall(bell: handlerManager.ring) {
                    do throws(ModuleError) {
                        return .success(try loader.load(candidate))
                    } catch {
                        return .failure(error)
                    }
                })
        }
        deadline = handlerManager.deadline(milliseconds: max(longestStart, Self.leastMilliseconds))
    }

    private func loaded(_ result: Result<Generation, ModuleError>) -> Bool {
        work = .nothing
        deadline = nil
        do throws(ModuleError) {
            let generation = try result.get()
            service.module.add(generation)
            let serving = ServingGeneration(generation, context: HostContext.of(generation))
            try take(serving)
            state = .starting
            work = .starting(
                RouteStarts(serving, service, places, refused: refusedRoutes, handlerManager))
        } catch {
            refuse(error)
        }
        return true
    }

    private func take(_ serving: ServingGeneration) throws(ModuleError) {
        if case .rollback(_, let build) = source {
            // At a start the numbers of the process before mean nothing any more.
            serving.buildOf = kind == .rollback ? build : serving.generation.number
        }
        self.serving = serving
        try checkPolicies(serving.generation)
    }

    // MARK: In a process of its own

    private func launch(_ candidate: Candidate) {
        do throws(ModuleError) {
            // What is being taken over is not in effect yet.
            let next = foreignPlaces == nil ? nil : handlerManager.change?.next
            work = .launching(
                try IsolatedLoading(
                    candidate, service, places, refused: refusedRoutes, next ?? handlerManager.configuration,
                    handlerManager))
        } catch {
            refuse(error)
        }
    }

    private func look(_ loading: IsolatedLoading) -> Bool {
        do throws(ModuleError) {
            if let serving = try loading.step() {
                try take(serving)
                state = .starting
                loading.isolated.proceed()
            }
            guard loading.isolated.hasServed else { return false }
            work = .nothing
            state = .switching
            if foreignPlaces == nil { commit() }
        } catch {
            refuse(error)
        }
        return true
    }

    /// `reload migrate` promises that no connection is left behind: what cannot keep it is refused at load.
    private func checkPolicies(_ next: Generation) throws(ModuleError) {
        guard let current = service.serving?.generation, let obstacle = MoveObstacle(from: current, to: next) else {
            return
        }
        for place in places where place.configuration.limits.reload == .migrate {
            let route = place.configuration
            throw ModuleError(
                handler: service.name, stage: .starting,
                reason: "generation \(next.number) cannot take over the connections of generation \(current.number)"
                    + " (\(obstacle))",
                place: "Route: \(route.name) (\(route.origin)), reload migrate",
                remedy: "give both save_conn and restore_conn and the same state_format, or set reload auto")
        }
    }

    // MARK: Starting

    private func look(_ starts: RouteStarts, _ now: UInt64) -> Bool {
        do throws(ModuleError) {
            guard try starts.step(now) else { return false }
            work = .nothing
            state = .switching
            if foreignPlaces == nil { commit() }
        } catch {
            refuse(error)
        }
        return true
    }

    /// Whether it only waits for the commit of a `ConfigurationChange`.
    var isReady: Bool { state == .switching && outcome == nil }
}
