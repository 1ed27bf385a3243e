import GatewayCluster
import GatewayConfiguration
import GatewayControl
import GatewayIO
import HandlerModules

/// The requests for reloads, and what is done for them: begun here, stepped by the control loop, answered when it is
/// over.
extension Server {
    /// A configuration that is being taken over, and the request for it.
    struct Takeover {
        let request: ReloadRequest
        let listeners: ListenerChange
        let errorLog: Log.Destination
        let admin: AdminEndpoint.Change
        let cluster: Cluster.Prepared
        let change: ConfigurationChange
        /// What it changes beside routes and listeners.
        let difference: ConfigurationDifference
    }

    // MARK: Asking

    /// Asks for a reload of one handler; the answer comes when it is over.
    func reloadHandler(_ service: HandlerService, cause: String, client: CommandClient) {
        ask(handlerManager.reload(service, cause: cause, isExplicit: true), cause, client)
    }

    /// Asks for the build before to serve again.
    func rollBack(_ service: HandlerService, cause: String, client: CommandClient) {
        ask(handlerManager.rollback(service, cause: cause), cause, client)
    }

    private func ask(_ reload: Reload, _ cause: String, _ client: CommandClient) {
        let request = ReloadRequest(cause: cause, client: client, at: context.clock())
        request.reloads = [reload]
        request.isComplete = true
        requests.append(request)
    }

    /// Reads the configuration again and replaces handlers whose file has changed. While one is being taken over this
    /// waits, and several that wait are one.
    func reloadEverything(cause: String, client: CommandClient?) {
        if phase == .serving {
            // Also while another one goes on: a manager waits for one that began behind its signal.
            serviceManager.tellReloading(at: context.clock())
            isReloadTold = true
        }
        if takeover != nil || phase == .starting || isTakingOver {
            if let waiting = waitingRequest {
                waiting.clients += client.map { [$0] } ?? []
            } else {
                waitingRequest = ReloadRequest(cause: cause, client: client, at: context.clock())
            }
            return
        }
        let request = ReloadRequest(cause: cause, client: client, at: context.clock())
        requests.append(request)
        read(request)
    }

    private func read(_ request: ReloadRequest) {
        let next: Configuration
        do throws(ConfigurationError) {
            let loaded = try Configuration.load(file: handlerManager.configuration.file)
            for warning in loaded.warnings { log.warn(warning.rendered()) }
            next = loaded.configuration
        } catch {
            let text = "configuration refused, nothing was changed:\n\(error.rendered())"
            return refuse(
                request, text, note: "the file is wrong: \(error.diagnostics.first?.message ?? "it cannot be read")")
        }
        let logs: OpenedLogs
        do throws(Failure) {
            logs = try OpenedLogs(next)
        } catch {
            return refuseConfiguration(request, error)
        }
        switch openListeners(next) {
        case .success(let opened):
            let prepared: AdminEndpoint.Change
            let cluster: Cluster.Prepared
            do throws(Failure) {
                prepared = try admin.prepare(next.admin)
                cluster = try ClusterLine.prepare(next, context.cluster)
            } catch {
                return refuseConfiguration(request, error)
            }
            let change = ConfigurationChange(next, handlerManager, accessLog: logs.access)
            handlerManager.change = change
            takeover = Takeover(
                request: request, listeners: opened, errorLog: logs.error, admin: prepared, cluster: cluster,
                change: change,
                difference: ConfigurationDifference(
                    startedWith: startConfiguration, from: handlerManager.configuration, to: next))
        case .failure(let failure): refuseConfiguration(request, failure)
        }
    }

    private func refuseConfiguration(_ request: ReloadRequest, _ failure: some Error) {
        OpenedLogs.closeOthers(than: handlerManager.configuration)
        let text = "configuration refused, nothing was changed: \(failure)"
        refuse(request, text, note: text)
    }

    private func refuse(_ request: ReloadRequest, _ text: String, note: String) {
        log.error(text)
        noteReading(request, isAccepted: false, outcome: note)
        request.said = [text]
        request.isRefused = true
        request.isComplete = true
    }

    private func noteReading(
        _ request: ReloadRequest, isAccepted: Bool, isChange: Bool = false, outcome: String
    ) {
        let reading = StatusReport.ConfigurationReload(
            at: Clock.wallSeconds(), isAccepted: isAccepted, outcome: outcome)
        configurationReload = reading
        let took = (context.clock() &- request.askedAt) / 1_000_000
        handlerManager.timeline.note(
            reading, isChange: isChange, cause: request.cause, milliseconds: took)
    }

    private func answer(_ client: CommandClient, _ answer: ControlAnswer) {
        switch client {
        case .control(let number): control?.answer(number, answer)
        case .admin(let number): admin.answer(number, answer)
        }
    }

    // MARK: Stepping

    /// Goes on with what was asked for, and answers what is over.
    func stepRequests() {
        if let takeover { step(takeover) }
        if takeover == nil, phase == .serving, !isTakingOver, let waiting = waitingRequest {
            waitingRequest = nil
            requests.append(waiting)
            read(waiting)
        }
        for request in requests where request.isOver {
            for client in request.clients { answer(client, request.answer) }
        }
        requests.removeAll { $0.isOver }
        if isReloadTold, requests.isEmpty, waitingRequest == nil, phase != .stopping {
            isReloadTold = false
            serviceManager.tellReady(serviceStatus, at: context.clock())
        }
    }

    private func step(_ takeover: Takeover) {
        let change = takeover.change
        if let refusal = change.refusal {
            finishTakeover()
            OpenedLogs.closeOthers(than: handlerManager.configuration)
            return refuse(takeover.request, refusal, note: refusal)
        }
        if change.isPrepared {
            change.commit()
            log.take(takeover.errorLog)
            let listening = commit(takeover.listeners) + admin.commit(takeover.admin, loop)
            certificates.takeOver(listeners.entries)
            context.cluster.commit(
                takeover.cluster, local: ClusterLine.localRoutes(handlerManager.configuration),
                topics: context.topics.forEach)
            var said = listening + takeover.difference.lines + change.changes
            let isChange = !said.isEmpty
            if !isChange { said = ["configuration: nothing changed"] }
            takeover.request.said = said
            let text = said.joined(separator: "\n")
            log.info(text)
            noteReading(takeover.request, isAccepted: true, isChange: isChange, outcome: text)
            // The workers are told; what follows does not wait for them here.
            loop.bell.ring()
        }
        guard change.isOver else { return }
        finishTakeover()
        OpenedLogs.closeOthers(than: handlerManager.configuration)
        for name in handlerManager.handlerNames(of: handlerManager.configuration) {
            let service = handlerManager.service(named: name)
            // A reload that the change brought up itself is its own outcome.
            let reload = service.reloads.first { $0.foreignPlaces != nil }
            takeover.request.reloads.append(reload ?? handlerManager.reload(service, cause: takeover.request.cause))
        }
        takeover.request.isComplete = true
    }

    private func finishTakeover() {
        takeover = nil
        handlerManager.change = nil
        loop.bell.ring()
    }

    /// Answers all clients that still wait: the gateway is about to be gone.
    func dismissRequests() {
        for request in requests + [waitingRequest].compactMap({ $0 }) {
            for client in request.clients {
                answer(client, ControlAnswer("the reload was abandoned: the gateway ends", exit: 75))
            }
        }
        requests = []
        waitingRequest = nil
    }
}
