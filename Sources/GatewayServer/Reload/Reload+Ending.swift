import GatewayConfiguration
import GatewayIO
import HandlerModules

/// How a reload comes to its outcome, or to nothing.
extension Reload {
    /// What is to serve is not good: what served before goes on; where nothing does, a copy of what proved good takes
    /// its place, unless it was only the routes that would not have it.
    func refuse(_ error: ModuleError) {
        let wasStarting = state == .starting
        discard()
        if source.isFile {
            // A change of the file is worth another try; so is an operator's wish.
            service.refusal = HandlerService.Refusal(
                digest: digest, error: error, at: handlerManager.server.clock())
        }
        if service.serving == nil, !wasStarting {
            // Where there is a copy it is what serves.
            return standIn(for: error.serving(service.module.nextNumber).description, after: source, error)
        }
        fail(error)
    }

    private func fail(_ error: ModuleError) {
        let error = error.serving(service.serving?.generation.number)
        if service.serving == nil {
            service.trouble = error.description
            for place in places {
                place.route.fail((refusedRoutes[place.route.name] ?? error).reason)
            }
        }
        // The watch and the slow poll may both see a file that cannot be read.
        let isNews = !isAutomatic || digest != nil || service.lastOutcome?.text != error.description
        end(.refused, error.description, isNews: isNews)
    }

    /// Takes the next copy that there is of what proved good.
    func standIn(for why: String, after used: Source, _ error: ModuleError? = nil) {
        var kinds: [LastGood.Kind] = service.standing.rolledBack == nil ? [] : [.rollback]
        kinds += [.last, .earlier]
        if case .standIn(let kind, _) = used, let place = kinds.firstIndex(of: kind) { kinds.removeFirst(place + 1) }
        if used.isFile, let error { firstError = error }
        guard let kind = kinds.first(where: { handlerManager.lastGood.recall(service.name, $0) != nil }) else {
            source = .file
            return fail(firstError ?? Self.noCopy(service.name, why))
        }
        source = .standIn(kind, why: why)
        stage()
    }

    private static func noCopy(_ handler: String, _ why: String) -> ModuleError {
        ModuleError(
            handler: handler, stage: .staging, reason: "there is no copy of it that proved good",
            place: why, remedy: "put a good file into the folder of modules")
    }

    /// The gateway is told to end, or to start over: whatever is under way is dropped.
    func abandon(_ why: String) {
        guard outcome == nil, state != .handingOver else { return }
        discard()
        end(.refused, "the reload was abandoned: \(why)")
    }

    /// Lets go of what is under way. A thread that is in a handler, or on a slow disk, goes on by itself.
    private func discard() {
        stopWatching()
        // A probe process ends with its owner.
        if case .starting(let starts) = work { starts.abandon() }
        if case .launching(let loading) = work { loading.abandon() }
        work = .nothing
        deadline = nil
        guard let serving else { return }
        self.serving = nil
        handlerManager.abandon(serving, service)
    }

    /// Keeps what the reload came to, and tells of it.
    func end(_ result: ReloadOutcome.Result, _ text: String, isNews: Bool = true) {
        var outcome = ReloadOutcome(handler: service.name, result: result, text: text)
        outcome.milliseconds = Int((handlerManager.server.clock() - began) / 1_000_000)
        outcome.cause = cause
        end(outcome, isNews: isNews)
    }

    func end(_ outcome: ReloadOutcome, isNews: Bool = true) {
        self.outcome = outcome
        work = .nothing
        deadline = nil
        if outcome.result != .switched { state = .idle }
        if isNews, cause != HandlerManager.startCause { service.count(outcome) }
        guard isNews, !isColdSuccess else { return handlerManager.log.debug(outcome.line) }
        service.lastOutcome = outcome
        handlerManager.timeline.note(outcome, of: self)
        switch outcome.result {
        case .refused:
            // Of a start that comes to nothing the line says where the handler is asked for.
            let origin = service.serving == nil ? places.first.map { "\($0.configuration.origin): " } ?? "" : ""
            handlerManager.log.error(origin + outcome.line)
        case .switched, .unchanged: handlerManager.log.info(outcome.line)
        }
    }

    /// The first generation of a handler is no reload; what is odd about it has been said.
    private var isColdSuccess: Bool {
        outcome?.result == .switched && replaced == nil && cause == HandlerManager.startCause
    }

    /// The generation that was replaced goes its way.
    func lookAfterReplaced() {
        guard state == .retiring, let replaced, replaced.isOver else { return }
        state = replaced.generation.unloadOutcome == .unloaded ? .gone : .pinned
        self.replaced = nil
    }
}
