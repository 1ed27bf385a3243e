import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import Synchronization

extension Server {
    /// Does what came over the control socket, or from a dashboard. Nil = the answer comes later.
    func carryOut(_ command: ControlCommand, for client: CommandClient) -> ControlAnswer? {
        switch command {
        case .status(let form):
            let report = statusReport()
            // As a script asks: 0 when all is well.
            let exit: Int32 = report.reasons.isEmpty ? 0 : 1
            switch form {
            case .json: return ControlAnswer(report.json(), exit: exit)
            case .text: return ControlAnswer(report.text(colour: false), exit: exit)
            case .colour: return ControlAnswer(report.text(colour: true), exit: exit)
            }
        case .reload, .rollback:
            guard phase == .serving else { return ControlAnswer("the gateway is \(phase.rawValue)", exit: 75) }
            if predecessor != nil || isTakingOver && command != .reload(nil) {
                return ControlAnswer("error: an upgrade of the program is under way, try again", exit: 75)
            }
            return replace(command, for: client)
        case .stop where isRelieved, .drain where isRelieved: return Self.isReplaced
        case .stop(nil):
            // A second stop does not wait for any peer.
            if phase == .stopping {
                if case .control(let number) = client {
                    control?.answer(number, ControlAnswer("stopped at once: asked twice", exit: 0))
                }
                endAtOnce(128 + SIGTERM)
            }
            beginStopping()
            return nil
        case .stop(let spread), .drain(let spread):
            // Nobody is here who could be told to go.
            if phase == .starting { beginStopping() }
            beginDraining(spread)
            return nil
        case .connections(let query):
            if phase == .starting { return ConnectionReport(query, rows: [], matched: 0, silent: []).answer }
            guard case .control(let number) = client else { return Self.onlyThere }
            listings.begin(query, for: number, handlerManager)
            return nil
        case .trace(let query):
            if phase == .starting { return ControlAnswer("error: the gateway is starting, try again", exit: 75) }
            guard case .control(let number) = client else { return Self.onlyThere }
            return traces.begin(query, for: number, handlerManager)
        case .upgrade(let program):
            // Whoever may look at a dashboard may not say which programs are run.
            guard case .control(let number) = client else { return Self.onlyThere }
            let cause = program == .before ? "gateway upgrade --back" : "gateway \(command.line)"
            return beginUpgrade(program, cause: cause, client: number)
        }
    }

    /// To whom the answer comes in parts.
    private static let onlyThere = ControlAnswer("error: this is answered over the control socket only", exit: 1)

    /// To whom has come in before, and would have meant the gateway.
    private static let isReplaced = ControlAnswer("error: another program has just taken over, try again", exit: 75)

    private func replace(_ command: ControlCommand, for client: CommandClient) -> ControlAnswer? {
        let cause = if case .admin = client { "the dashboard" } else { "gateway \(command.line)" }
        switch command {
        case .reload(nil): reloadEverything(cause: cause, client: client)
        case .reload(let name?):
            guard let service = namedService(name) else { return unknown(name) }
            reloadHandler(service, cause: cause, client: client)
        case .rollback(let name):
            guard let service = namedService(name) else { return unknown(name) }
            rollBack(service, cause: cause, client: client)
        case .status, .stop, .drain, .connections, .trace, .upgrade: return ControlAnswer("", exit: 0)
        }
        return nil
    }

    private func namedService(_ name: String) -> HandlerService? {
        handlerManager.handlerNames(of: handlerManager.configuration).contains(name)
            ? handlerManager.service(named: name) : nil
    }

    private func unknown(_ name: String) -> ControlAnswer {
        let known = handlerManager.handlerNames(of: handlerManager.configuration)
        let hint = Suggestion.nearest(to: name, among: known).map { " (did you mean \"\($0)\"?)" } ?? ""
        return ControlAnswer("error: no route names a handler \"\(name)\"\(hint)", exit: 1)
    }

    func statusReport() -> StatusReport {
        var process = StatusReport.Process(
            pid: getpid(), version: GatewayVersion.text, startedAt: startedAt, now: Clock.wallSeconds(),
            uptimeMilliseconds: (context.clock() - context.startedAt) / 1_000_000,
            workers: context.ports.count, connections: context.connections.load(ordering: .relaxed),
            maxConnections: min(handlerManager.routing.maxConnections, context.descriptorRoom),
            configuration: handlerManager.configuration.file)
        // Above 32 bits stands the mark of a worker that cannot work.
        process.workerConnections = context.ports.map { $0.load.load(ordering: .relaxed) & 0xFFFF_FFFF }
        process.phase = phase
        process.memory = handlerManager.routing.maxMemory.map { most in
            StatusReport.Memory(
                held: context.memory.total, most: most, refused: context.memory.refused.load(ordering: .relaxed),
                shed: context.memory.shed.load(ordering: .relaxed))
        }
        process.costs = StatusReport.Costs(context.costs)
        process.loopLag = StatusReport.Durations(context.ports.map(\.lag.reading))
        process.usage = ProcessUsage().map {
            StatusReport.Usage(cpuMilliseconds: UInt64($0.cpuSeconds * 1000), residentBytes: $0.residentBytes)
        }
        process.configurationReload = configurationReload
        process.upgrade = upgradeNote
        var report = StatusReport(process: process)
        report.listeners = listeners.entries.filter { !$0.isClosed }.map { $0.listener.address.description }
        report.inheritedListeners = listeners.entries.filter { !$0.isClosed && $0.inheritedName != nil }
            .map { $0.listener.address.description }
        report.certificates = Listeners.certificates(listeners.entries)
        report.cluster = ClusterMetrics.report(context.cluster, now: context.clock())
        report.routes = handlerManager.routeReports(context.counters.readings)
        report.handlers = handlerManager.handlerReports { watch?.isSettling($0) ?? false }
        report.reasons = unreadiness() + report.copies
        report.refusals = context.rejections.all.map { .init(word: $0.word, count: $0.count) }
        report.metrics = context.metrics.samples().map { StatusReport.Metric($0) }
        return report
    }
}

extension Server {
    // MARK: Ending

    /// Tells every connection to go, and refuses new ones.
    func beginStopping() {
        // Who has been relieved ends for itself alone.
        guard phase != .stopping, isRelieved || !(successor?.delaysStop(context.clock()) ?? false) else { return }
        phase = .stopping
        abandonSuccession("the gateway ends")
        handlerManager.abandonAll("the gateway ends")
        handlerManager.stopProcesses()
        log.info("stopping: \(context.connections.load(ordering: .relaxed)) connections are told (1001)")
        // A peer that waits in the backlog, or comes now, is refused at once instead of waiting for an answer in vain;
        // and this comes before the connected peers are told to go, which might come back to a worker that has not
        // heard of it yet.
        for entry in listeners.entries { entry.close() }
        for port in context.ports { port.post(.stop) }
        stopWatching()
        if !isRelieved { serviceManager.tellStopping(serviceStatus, at: context.clock()) }
    }

    /// Lets connected peers stay, for a while; new ones are told that the gateway drains, until the end.
    ///
    /// - Parameter spread: connected ones are told to go meanwhile, one after the other; this may come later as well.
    func beginDraining(_ spread: ControlCommand.Spread?) {
        guard phase == .serving || (phase == .draining && spread != nil) else { return }
        if phase == .serving { stopWatching() }
        phase = .draining
        context.isDraining.store(true, ordering: .relaxed)
        for port in context.ports { port.post(.drain) }
        let patience = drainTime(spread)
        drainsUntil = context.clock() &+ UInt64(clamping: patience) &* 1_000_000
        let connections = "\(context.connections.load(ordering: .relaxed)) connections"
        let time = Unit.text(milliseconds: patience)
        guard let spread else { return log.info("draining: \(connections) may stay \(time)") }
        log.info("draining: \(connections) are told to go (1001), one after the other within \(time)")
        var ticks: UInt32?
        if case .milliseconds(let duration) = spread { ticks = TimerWheel.ticks(milliseconds: duration) }
        for port in context.ports { port.post(.depart(within: ticks)) }
        handlerManager.sendProcessesAway(within: patience)
    }

    /// How long draining may take, in milliseconds.
    private func drainTime(_ spread: ControlCommand.Spread?) -> Int64 {
        let configuration = handlerManager.configuration
        let own = configuration.limits.drainTimeoutMilliseconds
        switch spread {
        case nil: return own
        case .drainTimeout: return configuration.routes.map(\.limits.drainTimeoutMilliseconds).max() ?? own
        case .milliseconds(let duration): return duration
        }
    }

    /// While draining: stops when the last peer has left, or time is up.
    func watchDraining() {
        guard phase == .draining else { return }
        let isEmpty = context.connections.load(ordering: .relaxed) <= 0
        if isEmpty || context.clock() >= drainsUntil { beginStopping() }
    }

    /// Nothing is loaded any more, so changes of files do not matter.
    private func stopWatching() {
        if let number = watch?.number { loop.forget(number) }
    }
}
