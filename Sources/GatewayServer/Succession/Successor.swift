import GatewayCluster
import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// This program, as the one that takes the place of another. It belongs to the control thread, which steps it.
///
///     greeting ─welcome─▶ starting ─▶ asking ─statesDone─▶ restoring ─▶ waiting ─serve─▶ serving ─finish─▶ alone
///        └── the predecessor goes, or says that it is off: this program ends ───┘    └── it goes: alone as well
final class Successor {
    private enum Phase {
        case greeting
        /// The handlers start.
        case starting
        case asking
        case restoring
        case waiting
        /// Everything that listens is ours; connections come.
        case serving
        /// The predecessor has ended.
        case alone
    }

    /// Its file, for this program's life; nil where it has not handed it on.
    private(set) var programBefore: HeldProgram?
    /// What the predecessor has said of those that are still with it.
    private var remaining: SuccessionMessage.Remaining?
    /// The predecessor.
    private(set) var before = SuccessionMessage.Greeting()
    /// Why this program cannot take over.
    private(set) var failure: String?
    /// Nil when this program goes on alone.
    private var link: SuccessionLink?
    private var phase = Phase.greeting
    private var states = StatesRestoring()
    private var shares: [(share: SuccessionMessage.ListenerShare, socket: PassedDescriptors)] = []
    /// The gateway is to end, and waits for the last connections until then.
    private var stopsAt: UInt64?
    private var slots: [UInt8: SuccessionMessage.SlotShare] = [:]
    /// How many connections the predecessor knows to have been looked at here.
    private var toldSeen = 0
    /// Passed when all connections are known that the processes of handlers have there.
    private var allAway: Fence?
    /// Connections that have come.
    private var arrived: UInt64 = 0
    /// How far it is with hearing the engines itself, since the predecessor is about to end.
    private var confirming: TopicsConfirming?

    init(_ socket: consuming DescriptorSocket) throws(Errno) { link = try SuccessionLink(socket) }

    /// Readable when there is something to step for.
    var number: Int32 { link?.number ?? -1 }

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? { [link?.retryAt, states.nextStep, stopsAt].compactMap { $0 }.min() }

    /// Everything is here to serve with.
    var mayServe: Bool {
        switch phase {
        case .greeting, .starting, .asking, .restoring, .waiting: false
        case .serving, .alone: true
        }
    }

    /// There is a program beside this one.
    var isBeside: Bool {
        if case .serving = phase { return true }
        return false
    }

    /// Who is still with the predecessor, for people; nil where there is none any more.
    var note: String? {
        guard isBeside else { return nil }
        guard let remaining, remaining.count > 0 else {
            return "connections come from the program before (process \(before.process))"
        }
        let count = "\(remaining.count) connection\(remaining.count == 1 ? "" : "s")"
        let seconds = (Int64(clamping: remaining.milliseconds) + 999) / 1000
        return "\(count) still with the program before (process \(before.process)), for"
            + " \(Unit.text(milliseconds: seconds * 1000)) at most: \(remaining.reasons.joined(separator: ", "))"
    }

    /// Places that connections of the predecessor have.
    func reserved(by worker: UInt8) -> SuccessionMessage.SlotShare? { slots[worker] }

    func greet(_ greeting: SuccessionMessage.Greeting) {
        var greeting = greeting
        greeting.tellsSeen = true
        link?.send(.hello(greeting))
    }

    /// The workers run.
    func tellServing(_ server: Server) {
        link?.send(.serving)
        // Should the predecessor end before all is handed over, this is who goes on.
        server.supervisor?.tellServing(getpid())
    }

    /// How long the last connections are waited for, in nanoseconds.
    private static let patience: UInt64 = 3_000_000_000

    /// The gateway is to end: whoever is with the predecessor, or on the way here, is to be told as well.
    ///
    /// - Returns: whether the end has to wait for that; `step` goes on with it.
    func delaysStop(_ now: UInt64) -> Bool {
        guard isBeside, stopsAt.map({ now < $0 }) ?? true else { return false }
        if stopsAt == nil {
            stopsAt = now &+ Self.patience
            link?.send(.stop)
        }
        return true
    }

    /// Whoever is still with the predecessor is told to go; it ends then. Only for one that has handed its file on.
    func letPredecessorGo(_ server: Server) {
        link?.send(.letGo)
        // It leaves with the next step.
        server.loop.bell.ring()
    }

    // MARK: Steps

    /// Goes on without waiting.
    func step(_ server: Server, _ now: UInt64) {
        if case .alone = phase { return }
        if failure != nil { return }
        do throws(SuccessionFailure) {
            forward(server)
            for message in try link?.turn(now: now) ?? [] {
                hear(message, server)
                if failure != nil { return tellFailure(now) }
            }
            advance(server, now)
            forward(server)
            try link?.flush(now: now)
            if failure != nil { return tellFailure(now) }
            if link?.hasEnded ?? false { lose("it has ended", server) }
        } catch {
            lose(error.description, server)
        }
        if stopsAt != nil, !delaysStop(now) { server.beginStopping() }
    }

    private func forward(_ server: Server) {
        guard let isFull = link?.isFull, !isFull else { return }
        let seen = server.context.succession.counters.seen.load(ordering: .relaxed)
        if seen != toldSeen {
            toldSeen = seen
            link?.send(.seen(UInt64(seen)))
        }
        for item in server.context.succession.takeOutgoing() {
            if let message = SuccessionMessage(item) { link?.send(message) }
        }
    }

    private func tellFailure(_ now: UInt64) {
        link?.send(.abort(failure ?? ""))
        try? link?.flush(now: now)
    }

    /// The predecessor cannot be talked to any more.
    private func lose(_ reason: String, _ server: Server) {
        if case .alone = phase { return }
        guard mayServe else {
            failure = "the program that is to be relieved: \(reason)"
            return
        }
        let left = remaining?.count ?? 0
        server.log.error(
            "upgrade: the program before (process \(before.process)): \(reason)"
                + (left > 0 ? "; the \(left) connections that it had are lost" : ""))
        goOnAlone(server)
    }

    private func goOnAlone(_ server: Server) {
        phase = .alone
        remaining = nil
        for each in server.handlerManager.isolated where each.isDistant {
            each.hear(.init(handler: each.handler, isGone: true))
        }
        for each in server.handlerManager.isolated { each.proceedBehindAll() }
        server.loop.forget(number)
        link = nil
        server.firstProcess?.tellAlone(server)
        server.context.succession.endBehindConnections(server.context.ports)
        for port in server.context.ports { port.post(.releaseReserved) }
        let isHeard = confirming?.isConfirmed ?? !before.sharesTopics
        server.context.cluster.goOnAlone()
        if !isHeard { server.context.clusterDelivery.noteGap(nil) }
    }

    private func hear(_ message: SuccessionMessage, _ server: Server) {
        switch (message, phase) {
        case (.handlerProcess(let share, let ledger), .greeting): follow(share, ledger, server)
        case (.programFile(let path, let descriptors), .greeting):
            programBefore = HeldProgram(path, descriptors)
        case (.handlerNews(let news), _): server.handlerManager.distant(news.handler)?.hear(news)
        case (.allAway, .serving):
            let fence = Fence(passers: server.context.ports.count, bell: server.loop.bell)
            for port in server.context.ports { port.post(.fence(fence)) }
            allAway = fence
        case (.welcome(let greeting), .greeting):
            before = greeting
            server.context.cluster.relieve(greeting.clusterOrigin, isHearing: greeting.sharesTopics)
            server.handlerManager.goOn(
                after: Dictionary(greeting.generations.map { ($0.handler, $0.number) }, uniquingKeysWith: max))
            server.handlerManager.startAll()
            // They are stepped before this is.
            server.loop.bell.ring()
            phase = .starting
        case (.instanceState(let state), .asking): states.add(state)
        case (.statesDone, .asking): phase = .restoring
        case (.slots(let share), .waiting):
            slots[share.worker] = share
            guard Int(share.worker) < server.context.ports.count else { break }
            server.context.ports[Int(share.worker)].timers.skip(to: share.timer)
        case (.listener(let share, let socket), .waiting): shares.append((share, socket))
        case (.serve, .waiting): takeOver(server)
        case (.connection(let share, let socket), .serving): take(share, socket, server)
        // Workers that do not run yet find it in their mailboxes.
        case (.publication(let publication), .waiting), (.publication(let publication), .serving):
            take(publication.item, server)
        case (.errand(let errand), .waiting), (.errand(let errand), .serving):
            server.context.succession.take(.errand(errand), server.context)
        case (.received(let number), .waiting), (.received(let number), .serving):
            server.context.succession.take(.received(number), server.context)
        case (.remaining(let remaining), .serving): self.remaining = remaining
        case (.topicShared(let share), .serving): server.context.cluster.noteShared(share.key.clusterName)
        case (.flushed(let connections), .serving):
            if connections >= arrived { server.context.cluster.holdBack(false) }
        case (.confirmTopics, .serving): confirming = confirming ?? TopicsConfirming(server)
        case (.progress(let text), _): server.log.info("upgrade: the program before: \(text)")
        case (.allSent, .serving):
            // Behind the connections in the mailboxes of the workers.
            if stopsAt != nil { stopsAt = 0 }
        case (.finish, .serving):
            server.log.info("upgrade: the program before (process \(before.process)) has nothing left, and ends")
            goOnAlone(server)
        case (.abort(let reason), _): failure = reason
        default: failure = "\"\(message.kind)\" is not what comes now"
        }
    }

    private func advance(_ server: Server, _ now: UInt64) {
        switch phase {
        case .starting:
            guard server.hasStartedHandlers else { return }
            if let missing = missing(server) {
                failure = missing
                return
            }
            phase = .asking
            link?.send(.handlersStarted)
        case .restoring: restoreNext(server, now)
        case .serving:
            if allAway?.isPassed ?? false {
                allAway = nil
                for each in server.handlerManager.isolated { each.proceedBehindAll() }
            }
            if confirming?.step(server) ?? false { link?.send(.topicsConfirmed) }
        case .greeting, .asking, .waiting, .alone: break
        }
    }

    // MARK: Before the switch

    /// A handler of the predecessor runs in a process of its own, which that of this program relieves.
    private func follow(
        _ share: SuccessionMessage.HandlerShare, _ descriptors: PassedDescriptors, _ server: Server
    ) {
        guard let file = descriptors.take(), let ledger = try? LedgerReader(file) else {
            return server.log.error("upgrade: the ledger of handler \"\(share.handler)\" cannot be read")
        }
        let distant = IsolatedHandler(share, ledger, server.handlerManager) { [unowned self] message in
            link?.send(message)
            server.loop.bell.ring()
        }
        server.handlerManager.isolated.append(distant)
    }

    /// What the predecessor serves and this program cannot; nil where there is nothing.
    private func missing(_ server: Server) -> String? {
        let named = server.handlerManager.handlerNames(of: server.startConfiguration)
        for generation in before.generations where named.contains(generation.handler) {
            let service = server.handlerManager.service(named: generation.handler)
            if service.serving == nil {
                let why = service.lastOutcome?.text ?? service.refusal?.error.description ?? "it is not loaded"
                return "handler \"\(generation.handler)\", which serves there, does not here: \(why)"
            }
            if let refused = service.serving?.refused.first { return refused.error.ofRoute.description }
        }
        return nil
    }

    private func restoreNext(_ server: Server, _ now: UInt64) {
        do throws(ModuleError) {
            guard try states.step(server.handlerManager, now) else { return }
        } catch {
            failure = error.description
            return
        }
        server.context.succession.begin(.successor, bell: server.loop.bell)
        phase = .waiting
        link?.send(.ready(targets(server)))
    }

    private func targets(_ server: Server) -> [SuccessionMessage.RouteTarget] {
        server.handlerManager.handlers.values.flatMap { service in
            (service.serving?.instances ?? [:]).map { route, instance in
                SuccessionMessage.RouteTarget(
                    route: route, handler: service.name, facts: HandoverFacts(instance.instance.generation).bytes)
            }
        }
    }

    // MARK: The switch

    private func takeOver(_ server: Server) {
        do throws(Server.Failure) {
            try server.takeListeners(shares)
            shares = []
            phase = .serving
        } catch {
            failure = error.description
        }
    }

    private func take(_ publication: SuccessionMail.Publication, _ server: Server) {
        let isNew = publication.id.map { server.context.cluster.notePassed($0, publication.key.clusterName) } ?? true
        server.context.succession.take(isNew ? .publication(publication) : .known, server.context)
    }

    private func take(
        _ share: SuccessionMessage.ConnectionShare, _ socket: PassedDescriptors, _ server: Server
    ) {
        guard Int(share.worker) < server.context.ports.count, let descriptor = socket.take() else {
            return server.log.error("upgrade: a connection came for worker \(share.worker), which there is not")
        }
        arrived += 1
        if before.sharesTopics { server.context.cluster.holdBack(true) }
        let number = descriptor.release()
        server.context.ports[Int(share.worker)].post(.take(share.record, number, received: share.received))
    }
}
