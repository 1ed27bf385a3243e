import CGatewayABI
import GatewayConfiguration
import GatewayControl
import GatewayIO
import HandlerModules
import Synchronization

/// The commit point of a reload, and what becomes of the connections.
extension Reload {
    /// How long the outcome waits for all workers to have looked at their connections once.
    private static let passMilliseconds: Int64 = 5000

    /// From here on new handshakes go to the new generation; nothing can fail any more.
    func commit() {
        guard let serving else { preconditionFailure("a reload commits without a generation") }
        replaced = service.serving
        switchedAt = handlerManager.server.clock()
        handlerManager.log.info(
            "handler \"\(service.name)\": generation \(serving.generation.number) loaded from"
                + " \(serving.generation.source)")
        handlerManager.putInService(service, serving, places)
        noteStanding(serving)
        if let replaced {
            // The same build in another process is nothing to go back to.
            let isOther = replaced.generation.digest != serving.generation.digest
            handlerManager.retire(replaced, of: service, isKept: kind == .file && isOther)
        }
        state = .handingOver
        makeHandovers(to: serving)
        handlerManager.send(handovers)
        if serving.isolated == nil, let process = replaced?.isolated {
            let patience = places.map(\.configuration.limits.drainTimeoutMilliseconds).max() ?? 0
            process.drain(until: handlerManager.deadline(milliseconds: patience))
        }
        work = .handingOver
        deadline = handlerManager.deadline(milliseconds: Self.passMilliseconds)
    }

    /// What this means for the next start.
    private func noteStanding(_ serving: ServingGeneration) {
        service.trouble = nil
        var standing = service.standing
        switch source {
        case .file:
            service.refusal = nil
            standing.rolledBack = nil
            if service.crashes.removeValue(forKey: serving.generation.digest) != nil {
                standing.pardonedUntil = Timestamp.iso(Clock.wallSeconds())
            }
        case .rollback:
            if kind == .rollback { service.history.removeNewest() }
            if let digest = service.fileDigest, let build = serving.buildOf {
                standing.rolledBack = Standing.Rollback(fileDigest: digest, generation: build)
            }
        case .standIn(_, let why):
            service.trouble = "a copy of what proved good serves, \(serving.generation.source): \(why)"
            serving.isStandIn = true
            handlerManager.log.error(
                "handler \"\(service.name)\": its file is not served; the copy of what proved good is used:"
                    + " \(serving.generation.source)\n\(why)")
        }
        handlerManager.keep(standing, of: service, serving.generation)
    }

    // MARK: Handing over

    /// A hand-over for each binding that connections of the handler's routes may hold.
    private func makeHandovers(to serving: ServingGeneration) {
        for old in service.retiring where !old.isAbandoned && old.isolated == nil {
            let obstacle = MoveObstacle(from: old.generation, to: serving.generation)
            for (name, former) in old.instances {
                guard let served = serving.instances[name] else { continue }
                // No connection goes from here to a process of its own.
                let kind = serving.isolated == nil ? Self.kind(served.configuration.limits.reload, obstacle) : .drain
                if case .close = kind { sentAway += former.references }
                unsafe handovers += handlerManager.handovers(
                    from: former.bindings, to: served.binding, kind,
                    isStateless: Handover.isStateless(from: old.generation, to: serving.generation),
                    patience: HandlerManager.patience(served.configuration))
            }
        }
    }

    private static func kind(_ policy: Limits.ReloadPolicy, _ obstacle: MoveObstacle?) -> Handover.Kind {
        switch policy {
        case .automatic, .migrate: obstacle == nil ? .migrate : .drain
        case .drain, .off: .drain
        case .close: .close
        }
    }

    func lookAtHandovers(_ isOverdue: Bool) -> Bool {
        let hasPassed = handlerManager.havePassed(handovers) && hasProcessPassed
        guard hasPassed || isOverdue else { return false }
        if !hasPassed { handlerManager.log.warn("a worker is busy: handing over goes on in the background") }
        state = replaced == nil ? .idle : .retiring
        end(summary)
        return true
    }

    /// The process of the generation before has looked at all its connections, and what it said of them is known here.
    private var hasProcessPassed: Bool {
        guard let replaced, let process = replaced.isolated, serving?.isolated != nil else { return true }
        guard process.process != nil else { return true }
        guard let remaining = process.remaining else { return false }
        return replaced.references <= remaining.count
    }

    // MARK: The outcome

    /// Connections that serve on with the new generation.
    var moved: Int {
        let isolated = replaced?.isolated == nil ? 0 : serving?.isolated?.port.moved.load(ordering: .relaxed) ?? 0
        return handovers.reduce(isolated) { $0 + $1.moved.load(ordering: .relaxed) }
    }
    /// Connections that either side refused to hand over.
    var refused: Int { handovers.reduce(0) { $0 + $1.refused.load(ordering: .relaxed) } }
    /// Connections that were closed over it.
    var closed: Int { handovers.reduce(0) { $0 + $1.closed.load(ordering: .relaxed) } }

    private var summary: ReloadOutcome {
        let number = serving?.generation.number ?? 0
        var (moved, draining) = (self.moved, service.draining)
        // Some may be moving just now.
        while (moved, draining) != (self.moved, service.draining) { (moved, draining) = (self.moved, service.draining) }
        var text = "generation \(number) is serving, \(Self.count(moved)) moved"
        let last = handovers.map { $0.lastMove.load(ordering: .relaxed) }.max() ?? 0
        let moving = moved > 0 && last > switchedAt ? Double((last - switchedAt) / 1000) / 1000 : nil
        if let moving { text += " in \(moving) ms" }
        if refused > 0 { text += ", \(refused) refused" }
        let staying = max(0, draining - sentAway)
        if sentAway > 0 { text += ", \(Self.count(sentAway)) told to come back (1012, reload close)" }
        if staying > 0 { text += ", \(staying) still with older generations\(reasons)" }
        if let build = serving?.buildOf { text += "; \(service.whereRolledBack(build))" }
        for (name, error) in serving?.refused ?? [] {
            text += "\nroute \(name): not served\n\(error.ofRoute.description)"
        }
        if case .standIn(_, let why) = source { text += "; it is the copy of what proved good, because:\n\(why)" }
        var outcome = ReloadOutcome(
            handler: service.name, result: .switched, text: text, moved: moved, refused: refused,
            draining: draining)
        outcome.milliseconds = Int((handlerManager.server.clock() - began) / 1_000_000)
        outcome.cause = cause
        outcome.movingMilliseconds = moving
        return outcome
    }

    private static func count(_ number: Int) -> String { "\(number) connection\(number == 1 ? "" : "s")" }

    /// Why connections stay where they are, each reason once.
    private var reasons: String {
        guard let serving else { return "" }
        var reasons: [String] = []
        for old in service.retiring where old.references > 0 && !old.isAbandoned {
            for (name, former) in old.instances where former.references > 0 {
                guard let reason = reason(old, former, serving.instances[name]) else { continue }
                if !reasons.contains(reason) { reasons.append(reason) }
            }
        }
        return reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"
    }

    private func reason(
        _ old: ServingGeneration, _ former: RouteInstance, _ next: RouteInstance?
    ) -> String? {
        guard let next, let serving else { return "route \(former.configuration.name) has left it" }
        switch next.configuration.limits.reload {
        case .drain, .off: return "reload drain"
        case .close: return nil
        case .automatic, .migrate: break
        }
        if let obstacle = MoveObstacle(from: old.generation, to: serving.generation) { return obstacle.description }
        if (old.isolated == nil) != (serving.isolated == nil) {
            return "`isolation` has changed: they stay where they are"
        }
        let isBusy = service.draining - sentAway > refused
        let busy = isBusy ? "busy: they move when they are quiet" : nil
        let no = refused > 0 ? "save_conn or restore_conn said no" : nil
        return [no, busy].compactMap { $0 }.joined(separator: "; ")
    }
}

extension Handover {
    /// Both sides keep nothing.
    static func isStateless(from old: Generation, to new: Generation) -> Bool {
        old.has(GW_HF_STATELESS) && new.has(GW_HF_STATELESS)
    }
}
