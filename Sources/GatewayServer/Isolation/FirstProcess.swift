import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// The first process of the gateway, as the process of a handler knows it. It belongs to the control thread, which steps it.
///
///     starting ─handlers run: loaded─▶ restoring ─statesDone, serving─▶ serving ─handOver, stop─▶ …
///        └── anything that goes wrong: this process ends, and says why
///
/// Without it this process has nothing to live for, and ends.
final class FirstProcess {
    private enum Phase {
        case starting, restoring, serving
    }

    let mail: FirstProcessMail
    private var link: SuccessionLink
    private var phase = Phase.starting
    private var states = StatesRestoring()
    /// Another process takes over, and connections may still come.
    private var expectsLatecomers = false
    private var hasAllStates = false
    /// When it is told next what has been counted, and what that was the last time.
    private var tellsAt: UInt64 = 0
    private var told: [UInt8] = []
    private var checkpoints = SelfCheckpoints()
    private let asked = AskedQuestions()
    /// Nobody comes any more: without connections this process has nothing to do.
    private var isLeaving = false
    /// The same, and whoever is here is told to go.
    private var isFinishing = false
    /// Passed when everybody is here that the process before has given.
    private var alone: Fence?
    /// Connections have come; passed when the workers have taken them in.
    private var hasArrivals = false
    private var arrivals: Fence?
    /// Passed when nobody is given any more to a process that has gone.
    private var kept: Fence?
    /// So often, in nanoseconds.
    private static let interval: UInt64 = 250_000_000
    /// Why this process cannot serve.
    private(set) var failure: String?

    init(_ socket: consuming DescriptorSocket, bell: ControlWaker) throws(Errno) {
        link = try SuccessionLink(socket)
        mail = FirstProcessMail(bell: bell)
    }

    /// Nil where this is no process of a handler.
    static func make(
        _ succession: inout SuccessionEnvironment, bell: ControlWaker
    ) throws(Errno) -> FirstProcess? {
        guard let socket = succession.takeFirstProcess() else { return nil }
        return try FirstProcess(socket, bell: bell)
    }

    /// Readable when there is something to step for.
    var number: Int32 { link.number }

    func nextStep(_ server: Server) -> UInt64? {
        // `tellsAt` is often enough to see that nobody is left.
        let serving = phase == .serving ? [tellsAt, checkpoints.nextStep(server)] : []
        return ([link.retryAt, states.nextStep, asked.deadline] + serving).compactMap { $0 }.min()
    }

    /// The handler runs, and knows what was known before.
    var mayServe: Bool { phase == .serving }

    // MARK: Steps

    /// Goes on without waiting.
    func step(_ server: Server, _ now: UInt64) {
        do throws(SuccessionFailure) {
            for message in try link.turn(now: now) { hear(message, server) }
            if failure == nil { advance(server, now) }
            let (isAlone, keepsOthers) = (alone?.isPassed ?? false, kept?.isPassed ?? false)
            forward(server)
            if keepsOthers {
                kept = nil
                if server.predecessor == nil { server.context.succession.end() }
                link.send(.allSent)
            }
            if isAlone {
                alone = nil
                link.send(.finish)
            }
            if hasArrivals { (hasArrivals, arrivals) = (false, fence(server)) }
            if isFinishing && hasNobody(server) || isLeaving && mayEnd(server) { server.beginStopping() }
            if phase == .serving {
                if now >= tellsAt { tellCounts(server, now) }
                if let state = checkpoints.step(server, now), !link.isFull { link.send(.instanceState(state)) }
            }
            try link.flush(now: now)
            if link.hasEnded { endWithout(server) }
        } catch {
            server.log.error("the first process: \(error)")
            endWithout(server)
        }
    }

    /// No connection is here, or on its way from the first process to a worker.
    func hasNobody(_ server: Server) -> Bool {
        let isAtRest = !hasArrivals && arrivals?.isPassed ?? true
        return isAtRest && server.context.connections.load(ordering: .relaxed) <= 0
    }

    /// Nor does one come any more.
    func mayEnd(_ server: Server) -> Bool { !expectsLatecomers && hasNobody(server) }

    /// Nobody is there any more to whom the connections belong.
    private func endWithout(_ server: Server) {
        server.log.warn("the first process has gone: this one ends")
        Log.finish()
        _exit(1)
    }

    private func forward(_ server: Server) {
        let news = mail.take()
        if !news.taken.isEmpty { link.send(.taken(news.taken)) }
        if !news.ended.isEmpty { link.send(.ended(news.ended)) }
        guard !link.isFull else { return }
        for publication in server.context.neighbours.take() {
            if let message = SuccessionMessage(.publication(publication)) { link.send(message) }
        }
        while !link.isFull, let answer = asked.next(server.context.clock()) { link.send(.answer(answer)) }
    }

    private func tellCounts(_ server: Server, _ now: UInt64) {
        tellsAt = now &+ Self.interval
        guard !link.isFull else { return }
        let tally = SuccessionMessage.tally(ProcessTally(server))
        let bytes = tally.bytes
        if bytes == told { return }
        told = bytes
        link.send(tally)
    }

    private func hear(_ message: SuccessionMessage, _ server: Server) {
        switch (message, phase) {
        case (.instanceState(let state), .restoring): states.add(state)
        case (.handlersStarted, .restoring): mail.isGathering.store(true, ordering: .releasing)
        case (.serve, _):
            mail.isGathering.store(false, ordering: .releasing)
            for port in server.context.ports { port.post(.gathered) }
        case (.statesDone, .restoring): hasAllStates = true
        // Workers that do not run yet find it in their mailboxes.
        case (.connection(let share, let socket), .restoring), (.connection(let share, let socket), .serving):
            take(share, socket, server)
        case (.publication(let publication), _): server.context.deliver(fromNeighbour: publication.item)
        case (.gap, _): server.context.gaps.tell(nil)
        case (.latecomers(let areExpected), _): expectsLatecomers = areExpected
        case (.handOver(let socket, let keepsRelayed), .serving): server.handOver(socket, keepsRelayed: keepsRelayed)
        case (.keep, .serving):
            isLeaving = true
            server.keepConnections()
        case (.depart(let milliseconds), _):
            let ticks = TimerWheel.ticks(milliseconds: Int64(clamping: milliseconds))
            for port in server.context.ports { port.post(.depart(within: ticks)) }
        case (.finish, _):
            isFinishing = true
            server.closeAll()
        case (.stop, _): server.beginStopping()
        case (.reopenLogs, _): LogFiles.reopen()
        case (.ask(let number, let line), _): asked.begin(number, line, server)
        case (.unask(let number), _): asked.end(number, server)
        default: failure = "\"\(message.kind)\" is not what comes now"
        }
    }

    private func take(_ share: SuccessionMessage.ConnectionShare, _ socket: PassedDescriptors, _ server: Server) {
        // Of what is not taken the first process gives to the next one.
        if isFinishing || server.phase == .stopping { return }
        hasArrivals = true
        guard Int(share.worker) < server.context.ports.count, let descriptor = socket.take() else {
            return server.log.error("a connection came for worker \(share.worker), which there is not")
        }
        server.context.ports[Int(share.worker)].post(.take(share.record, descriptor.release(), received: 0))
    }

    private func advance(_ server: Server, _ now: UInt64) {
        switch phase {
        case .starting:
            guard server.hasStartedHandlers else { return }
            guard let loaded = loaded(server) else { return }
            link.send(.loaded(loaded))
            if server.startConfiguration.cluster == nil { server.context.neighbours.begin(server.loop.bell) }
            phase = .restoring
        case .restoring: restoreNext(server, now)
        case .serving: break
        }
    }

    /// What is served; nil, and there is a failure, where nothing is.
    private func loaded(_ server: Server) -> SuccessionMessage.LoadedHandler? {
        guard let service = server.handlerManager.handlers.values.first else { return nil }
        guard let serving = service.serving else {
            let why = service.refusal?.error.reason ?? service.lastOutcome?.text ?? "it does not start"
            failure = why
            return nil
        }
        var loaded = SuccessionMessage.LoadedHandler()
        loaded.module = ModuleFacts(serving.generation)
        loaded.routes = serving.instances.keys.sorted()
        loaded.refused = serving.refused.map { .init(route: $0.route, reason: $0.error.reason) }
        return loaded
    }

    private func restoreNext(_ server: Server, _ now: UInt64) {
        do throws(ModuleError) {
            if try states.step(server.handlerManager, now), hasAllStates { phase = .serving }
        } catch {
            failure = error.reason
        }
    }

    // MARK: What it is told

    /// Somebody wants this process to end: another one is to take its place.
    func askForRelief() { if phase == .serving { link.send(.relieve) } }

    /// The workers run. It knows before the process does that this one relieves, which may end then.
    func tellServing() {
        link.send(.serving)
        try? link.flush()
    }

    /// How handing over went.
    func tell(_ remaining: SuccessionMessage.Remaining) { link.send(.remaining(remaining)) }

    /// Nothing comes any more from the process before. That is told behind what has come of it.
    func tellAlone(_ server: Server) {
        alone = fence(server)
    }

    /// The process that was to have the connections has gone: whoever is still here stays. Whoever is not stands in the
    /// ledger.
    func tellKept(_ server: Server) { kept = fence(server) }

    private func fence(_ server: Server) -> Fence {
        let fence = Fence(passers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.fence(fence)) }
        return fence
    }

    /// This process ends, and says why.
    func abort(_ reason: String) {
        link.send(.abort(reason))
        // Short, and its reader waits for it.
        try? link.flush()
    }
}

extension Ledger {
    /// Nil where this is no process of a handler.
    static func take(_ succession: inout SuccessionEnvironment) throws(Errno) -> Ledger? {
        guard let file = succession.takeLedger() else { return nil }
        return try Ledger(adopting: file)
    }
}
