import GatewayConfiguration
import GatewayIO
import Glibc
import Synchronization

extension Server {
    /// Does what came over the control socket. Nil = the answer is due when the gateway has ended.
    func carryOut(_ command: ControlCommand) -> ControlAnswer? {
        switch command {
        case .status(.json): return ControlAnswer(statusReport().json(), exit: 0)
        case .status(.text): return ControlAnswer(statusReport().text(colour: false), exit: 0)
        case .status(.colour): return ControlAnswer(statusReport().text(colour: true), exit: 0)
        case .reload, .rollback:
            guard phase == .serving else { return ControlAnswer("the gateway is \(phase.rawValue)", exit: 75) }
            return replace(command)
        case .stop:
            beginStopping()
            return nil
        case .drain:
            beginDraining()
            return nil
        }
    }

    private func replace(_ command: ControlCommand) -> ControlAnswer {
        let cause = "gateway \(command.line)"
        switch command {
        case .reload(nil): return reloadEverything(cause: cause)
        case .reload(let name?):
            guard let service = namedService(name) else { return unknown(name) }
            return Self.answer([services.reload(service, cause: cause)])
        case .rollback(let name):
            guard let service = namedService(name) else { return unknown(name) }
            return Self.answer([services.rollback(service, cause: cause)])
        case .status, .stop, .drain: return ControlAnswer("", exit: 0)
        }
    }

    private func namedService(_ name: String) -> HandlerService? {
        services.handlerNames(of: services.configuration).contains(name) ? services.service(named: name) : nil
    }

    private func unknown(_ name: String) -> ControlAnswer {
        let known = services.handlerNames(of: services.configuration)
        let hint = Suggestion.nearest(to: name, among: known).map { " (did you mean \"\($0)\"?)" } ?? ""
        return ControlAnswer("error: no route names a handler \"\(name)\"\(hint)", exit: 1)
    }

    static func answer(_ outcomes: [ReloadOutcome]) -> ControlAnswer {
        let isRefused = outcomes.contains { $0.result == .refused }
        return ControlAnswer(outcomes.map { $0.line + "\n" }.joined(), exit: isRefused ? 75 : 0)
    }

    private func statusReport() -> StatusReport {
        var process = StatusReport.Process(
            pid: getpid(), version: GatewayVersion.text, startedAt: startedAt, now: Clock.wallSeconds(),
            uptimeMilliseconds: (Clock.monotonicNanoseconds() - context.startedAt) / 1_000_000,
            workers: context.ports.count, connections: context.connections.load(ordering: .relaxed),
            maxConnections: min(services.routing.maxConnections, context.descriptorRoom),
            configuration: services.configuration.file)
        // Above 32 bits stands the mark of a worker that cannot work.
        process.workerConnections = context.ports.map { $0.load.load(ordering: .relaxed) & 0xFFFF_FFFF }
        process.phase = phase
        process.configurationReload = configurationReload
        var report = StatusReport(process: process)
        report.listeners = listeners.entries.filter { !$0.isClosed }.map { $0.listener.address.description }
        report.routes = services.routeReports()
        report.handlers = services.handlerReports()
        report.metrics = context.metrics.samples().map { StatusReport.Metric($0) }
        return report
    }
}

extension Server {
    /// Reads the configuration again and replaces handlers whose file has changed.
    func reloadEverything(cause: String) -> ControlAnswer {
        let next: Configuration
        do throws(ConfigurationError) {
            let loaded = try Configuration.load(file: services.configuration.file)
            for warning in loaded.warnings { log.warn(warning.rendered()) }
            next = loaded.configuration
        } catch {
            let text = "configuration refused, nothing was changed:\n\(error.rendered())"
            log.error(text)
            note("the file is wrong: \(error.diagnostics.first?.message ?? "it cannot be read")", isAccepted: false)
            return ControlAnswer(text, exit: 75)
        }
        let change: ListenerChange
        switch openListeners(next) {
        case .success(let opened): change = opened
        case .failure(let failure): return refuse("configuration refused, nothing was changed: \(failure)")
        }
        let (text, isTaken) = services.apply(next)
        let said = (isTaken ? commit(change) : []) + [text]
        note(said.joined(separator: "\n"), isAccepted: isTaken)
        guard isTaken else { return ControlAnswer(said.joined(separator: "\n"), exit: 75) }
        var outcomes: [ReloadOutcome] = []
        for name in services.handlerNames(of: services.configuration) {
            outcomes.append(services.reload(services.service(named: name), cause: cause))
        }
        var answer = Self.answer(outcomes)
        answer.text = (said + [answer.text]).joined(separator: "\n")
        return answer
    }

    private func refuse(_ text: String) -> ControlAnswer {
        log.error(text)
        note(text, isAccepted: false)
        return ControlAnswer(text, exit: 75)
    }

    private func note(_ outcome: String, isAccepted: Bool) {
        configurationReload = .init(at: Clock.wallSeconds(), isAccepted: isAccepted, outcome: outcome)
    }

    // MARK: Ending

    /// Tells every connection to go, and refuses new ones.
    func beginStopping() {
        guard phase != .stopping else { return }
        phase = .stopping
        log.info("stopping: \(context.connections.load(ordering: .relaxed)) connections are told (1001)")
        // Who waits in the backlog, or comes now, is refused at once instead of waiting for an answer in vain; and before
        // anybody is told to go, who might come back to a worker that has not heard of it yet.
        for entry in listeners.entries { entry.close() }
        for port in context.ports { port.post(.stop) }
    }

    /// Lets those that are here stay, for a while; whoever comes now is told so, until the end.
    func beginDraining() {
        guard phase == .serving else { return }
        let patience = services.configuration.limits.drainTimeoutMilliseconds
        phase = .draining
        drainsUntil = Clock.monotonicNanoseconds() &+ UInt64(clamping: patience) &* 1_000_000
        log.info("draining: \(context.connections.load(ordering: .relaxed)) connections may stay \(patience / 1000) s")
        context.isDraining.store(true, ordering: .relaxed)
    }

    /// While draining: stops when the last peer has left, or time is up.
    func watchDraining() {
        guard phase == .draining else { return }
        let isEmpty = context.connections.load(ordering: .relaxed) <= 0
        if isEmpty || Clock.monotonicNanoseconds() >= drainsUntil { beginStopping() }
    }
}
