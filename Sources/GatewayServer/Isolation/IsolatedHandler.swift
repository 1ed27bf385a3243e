import GatewayConfiguration
import GatewayIO
import HandlerModules

/// A generation of a handler that runs in a process of its own: there is one as long as the generation has connections or gets
/// any, and another one when it dies. It belongs to the control thread, and never waits.
///
///     launching ─loaded, proceed─▶ launched ─serving─▶ serving ─it dies─▶ waiting ─▶ launching …
///         └─▶ failed                                     │ five times within a minute: failed
///                                                        └─ another generation serves ─▶ leaving ─▶ ended
///
/// One that dies while the process before still gives it connections is mourned until that one has stopped.
final class IsolatedHandler {
    enum Phase {
        case launching(HandlerProcess, deadline: UInt64)
        case serving(HandlerProcess)
        /// Its process has died, and the one before may not know yet that it gives to nobody.
        case mourning(LedgerReader?)
        case waiting(until: UInt64)
        /// It hands its connections over, or tells them to go.
        case leaving(HandlerProcess)
        /// The same of a process that is the child of the program before.
        case distant(LedgerReader, tell: (SuccessionMessage) -> Void)
        /// It has gone, and what it has written down is of use as soon as the one after it is alone.
        case left(LedgerReader?)
        case failed(String)
        case ended
    }

    /// How long a process may take to come up beyond `start_timeout`.
    private static let patience: Int64 = 10_000

    let port: IsolatedPort
    let handler: String
    let module: GivenModule
    unowned let handlerManager: HandlerManager
    var phase: Phase
    private var crashes = CrashCount()
    /// What its process has counted.
    private(set) var tallies = TallyBook()
    /// What its instances have last said of themselves, by route.
    private var states: [String: SuccessionMessage.InstanceState] = [:]
    /// What the process has said when it had loaded the module; nil before.
    private(set) var loaded: SuccessionMessage.LoadedHandler?
    /// The bindings of its routes are known to the port.
    private var hasProceeded = false
    /// It serves, or has served.
    private(set) var hasServed = false
    /// Connections that it had to hand over, and has not.
    var remaining: SuccessionMessage.Remaining?
    /// The generation that it relieves.
    var former: IsolatedHandler?
    private var drainsUntil: UInt64?
    /// Passed when everybody has been given to a process that goes on for another one.
    private var gathering: Fence?
    private(set) var servesSince: UInt64 = 0
    /// Not before then it is looked at whether the process is due to be replaced.
    var recycleLook: UInt64 = 0
    /// Nothing comes from the process before any more; and that of the one behind this has heard the same of this one.
    var hadFormerProcess = false
    var (isAlone, isFollowed) = (false, false)
    /// It hands over, and takes those that come late.
    var hasLatecomers = false
    private var servesBehindDeath = false
    /// It has said that it gives nobody to the process which it was to hand over to, and which has gone.
    var hasKept = false
    /// The way to the process that relieves its own, which still gets connections.
    var waitingHandOver: PassedDescriptors?
    /// The process of the former when its own was started, and how often that was because of it.
    private var formerNumber: Int32?
    private var newStarts = 0
    /// As it was when this was made.
    private let startConfiguration: Configuration?
    /// It gives way to the process of the program that takes over, which hears what becomes of it.
    var heir: ((SuccessionMessage.HandlerNews) -> Void)?
    /// Nothing is done for it until all are known that the program before has given to its process.
    private(set) var awaitsAll = false
    /// Where its connections go.
    private(set) var next: IsolatedPort?

    /// Starts a process.
    init(
        _ candidate: Candidate, _ configuration: Configuration, relieving former: IsolatedHandler?,
        _ handlerManager: HandlerManager
    ) throws(ChildProgram.Failure) {
        handler = candidate.handler
        module = GivenModule(path: candidate.path, generation: candidate.number)
        port = IsolatedPort(handler: handler, generation: candidate.number, bell: handlerManager.loop.bell)
        (self.handlerManager, self.former) = (handlerManager, former)
        if let former, former.isDistant { port.follow(former.port) }
        startConfiguration = configuration
        phase = .ended
        try launch(configuration)
    }

    /// That of the program before, which goes on serving there until this program has one of its own.
    ///
    /// - Parameter tell: says something to that program.
    init(
        _ share: SuccessionMessage.HandlerShare, _ ledger: LedgerReader, _ handlerManager: HandlerManager,
        tell: @escaping (SuccessionMessage) -> Void
    ) {
        handler = share.handler
        module = GivenModule(path: "", generation: share.generation)
        port = IsolatedPort(handler: handler, generation: share.generation, bell: handlerManager.loop.bell)
        self.handlerManager = handlerManager
        startConfiguration = nil
        phase = .distant(ledger, tell: tell)
        hasServed = true
    }

    /// The process that there is.
    var process: HandlerProcess? {
        switch phase {
        case .launching(let process, _), .serving(let process), .leaving(let process): process
        case .distant, .mourning, .waiting, .left, .failed, .ended: nil
        }
    }

    /// The program before has its process.
    var isDistant: Bool { if case .distant = phase { true } else { false } }

    /// The process that has its connections.
    var holder: HandlerProcess? {
        switch phase {
        case .serving(let process), .leaving(let process): process
        case .launching, .distant, .mourning, .waiting, .left, .failed, .ended: nil
        }
    }

    var isServing: Bool { if case .serving = phase { true } else { false } }

    /// Why it does not serve, and will not; nil where it does, or may.
    var failure: String? { if case .failed(let why) = phase { why } else { nil } }

    var isOver: Bool {
        switch phase {
        case .failed, .ended: true
        case .launching, .serving, .mourning, .waiting, .leaving, .distant, .left: false
        }
    }

    /// Nothing of it is left that another one could take over.
    private var hasEnded: Bool { if case .ended = phase { true } else { false } }

    /// It serves nobody new, and no other generation takes its connections: those that are left are told to go when time is
    /// up, in monotonic nanoseconds.
    func drain(until end: UInt64) { drainsUntil = end }

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? {
        let own: UInt64? =
            switch phase {
            case .launching(_, let deadline): deadline
            case .waiting(let until): until
            case .serving, .mourning, .leaving, .distant, .left, .failed, .ended: nil
            }
        return [own, process?.nextStep, drainsUntil, nextRecycling].compactMap { $0 }.min()
    }

    // MARK: Launching

    private func launch(_ configuration: Configuration) throws(ChildProgram.Failure) {
        var far: DescriptorSocket?
        hadFormerProcess = false
        formerNumber = former?.process?.number
        waitingHandOver = nil
        if let former, former.givesConnections {
            var pair = try ChildProgram.makePair()
            guard let near = pair.takeNear() else { preconditionFailure("a pair has two ends") }
            far = pair.takeFar()
            hadFormerProcess = true
            former.handOver(PassedDescriptors(adopting: [near.release()]))
        }
        let process = try HandlerProcess(
            handler, module, configuration, workers: handlerManager.server.ports.count,
            capacity: handlerManager.server.ports[0].capacity, program: handlerManager.prober,
            predecessor: far.take())
        for number in process.descriptors {
            do throws(Errno) { try handlerManager.loop.watch(number) } catch {
                throw ChildProgram.Failure(description: "process \(process.number) cannot be followed: \(error)")
            }
        }
        let timeouts = configuration.routes.filter { $0.handler == handler }.map(\.limits.startTimeoutMilliseconds)
        let patience = (timeouts.max() ?? 0) + Self.patience
        phase = .launching(process, deadline: handlerManager.deadline(milliseconds: patience))
        handlerManager.loop.bell.ring()
    }

    /// What serves its routes is known: the process may go on, with what its instances knew.
    ///
    /// The child of the program before is relieved only when that program is: until then this counts as serving.
    func proceed() {
        if !hasServed, former?.isDistant ?? false, case .launching(let process, _) = phase {
            (awaitsAll, hasServed) = (true, true)
            phase = .launching(process, deadline: .max)
            return
        }
        if awaitsAll { return }
        hasProceeded = true
        guard case .launching(let process, _) = phase else { return }
        if hasServed { process.send(.handlersStarted) }
        phase = .launching(process, deadline: handlerManager.deadline(milliseconds: Self.patience))
        for state in states.values { process.send(.instanceState(state)) }
        process.send(.statesDone)
        // It leaves with the next step.
        handlerManager.loop.bell.ring()
    }

    /// All connections are known that the child of the program before has, or that one is gone.
    func proceedBehindAll() {
        guard awaitsAll else { return }
        awaitsAll = false
        proceed()
    }

    // MARK: Steps

    /// Goes on without waiting.
    func step(_ now: UInt64) {
        if case .mourning(let ledger) = phase, !isGivenConnections { bury(ledger, now) }
        if case .waiting(let until) = phase, now >= until { relaunch() }
        if let end = drainsUntil, now >= end {
            drainsUntil = nil
            process?.send(.finish)
            // It ends by itself when nobody is left.
            if case .serving(let process) = phase { phase = .leaving(process) }
            handlerManager.loop.bell.ring()
        }
        if former?.hasEnded ?? false { former = nil }
        recycleIfDue(now)
        guard let process else { return }
        let isGathered = gathering?.isPassed ?? false
        for item in port.takeItems() { process.give(item) }
        if isGathered {
            gathering = nil
            process.send(.serve)
            // What had been published and not given out has gone with the process before.
            if servesBehindDeath { process.send(.gap) }
            servesBehindDeath = false
        }
        for news in process.step(now) { hear(news, process, now) }
        if case .launching(let process, let deadline) = phase, now >= deadline {
            notUp(process, "it was not ready when its time was up", now)
        }
    }

    /// A process that does not come up: the first one is the last, others are tried again.
    private func notUp(_ process: HandlerProcess, _ why: String, _ now: UInt64) {
        process.kill()
        guard hasServed else { return startAnew(now) ? () : fail(why, now) }
        handlerManager.log.error("handler \"\(handler)\": process \(process.number) does not come up: \(why)")
        waitForNext(now)
    }

    /// A process that did not come up because the one whose place it was to take has died is blameless.
    private func startAnew(_ now: UInt64) -> Bool {
        guard hadFormerProcess, !(former?.isDistant ?? false), former?.process?.number != formerNumber, newStarts < 3
        else {
            return false
        }
        newStarts += 1
        phase = .waiting(until: now)
        handlerManager.loop.bell.ring()
        return true
    }

    private func relaunch() {
        do throws(ChildProgram.Failure) {
            try launch(hasServed ? handlerManager.configuration : startConfiguration ?? handlerManager.configuration)
        } catch {
            handlerManager.log.error("handler \"\(handler)\": \(error)")
            phase = .waiting(until: handlerManager.deadline(milliseconds: 1000))
        }
    }

    private func hear(_ news: HandlerProcess.News, _ process: HandlerProcess, _ now: UInt64) {
        switch news {
        case .loaded(let loaded):
            self.loaded = loaded
            // The routes are known where it has been here before.
            if hasServed || hasProceeded { proceed() }
        case .serving: begin(process)
        case .taken(let connections):
            tell(connections) { .taken($0, port) }
            if port.note(taken: connections.count) { post(.revived(port)) }
            heir?(.init(handler: handler, taken: connections))
        case .ended(let connections):
            tell(connections) { .ended($0) }
            // Of one that finds no place nothing else is said.
            if port.note(taken: connections.count) { post(.revived(port)) }
            heir?(.init(handler: handler, ended: connections))
        case .publication(let publication): handlerManager.pass(on: publication, from: self)
        case .tally(let tally): tallies.note(tally, port, handlerManager.server)
        case .state(let state): states[state.route] = state
        case .handedOver(let remaining): self.remaining = remaining
        case .kept: keep()
        case .answer(let answer): handlerManager.questions.hear(answer, from: process.number)
        case .wantsRelief: handlerManager.recycle(self, "process \(process.number) was told to end (SIGTERM)")
        case .useless(let why): notUp(process, why, now)
        case .gone(let end): gone(process, end, now)
        case .alone:
            isAlone = true
            former?.isFollowed = true
            former?.sweep()
            if let socket = waitingHandOver {
                waitingHandOver = nil
                handOver(socket)
            }
        }
    }

    private func begin(_ process: HandlerProcess) {
        guard case .launching = phase else { return }
        phase = .serving(process)
        handlerManager.questions.begin(process)
        port.resumes(
            handlerManager.configuration.routes.contains {
                $0.handler == handler && $0.limits.isolation.crash == .resume
            })
        servesSince = handlerManager.server.clock()
        port.begin()
        former?.leave(to: port)
        if hasServed {
            handlerManager.log.info("handler \"\(handler)\": process \(process.number) serves on")
            post(.revived(port))
            let fence = Fence(passers: handlerManager.server.ports.count, bell: handlerManager.loop.bell)
            for port in handlerManager.server.ports { port.post(.fence(fence)) }
            gathering = fence
        }
        hasServed = true
    }

    func tell(_ connections: [UInt64], _ news: ([UInt64]) -> AwayNews) {
        for (worker, group) in Dictionary(grouping: connections, by: { ConnectionID($0).worker }) {
            guard worker < handlerManager.server.ports.count else { continue }
            handlerManager.server.ports[worker].post(.away(news(group)))
        }
    }

    private func post(_ news: AwayNews) {
        for port in handlerManager.server.ports { port.post(.away(news)) }
    }

    // MARK: Its end

    private func gone(_ process: HandlerProcess, _ end: ChildEnd, _ now: UInt64) {
        // It may have ended because the next one serves, which has been said and not been heard.
        if case .serving = phase { handlerManager.isolated.first { $0.former === self }?.step(now) }
        let ledger = try? LedgerReader(process.ledger)
        handlerManager.questions.forget(process.number)
        port.end()
        tallies.endProcess(port)
        switch phase {
        case .leaving:
            drainsUntil = nil
            if end != ChildEnd() {
                handlerManager.log.error("handler \"\(handler)\": process \(process.number) \(end)")
            }
            phase = .left(ledger)
            heir?(.init(handler: handler, isGone: true))
            if next == nil || isFollowed { sweep() }
        case .launching where !hasServed: if !startAnew(now) { fail("its process \(end)", now) }
        case .launching, .serving, .mourning, .waiting:
            handlerManager.handlers[handler]?.processDeaths += 1
            if process.hasPublished { handlerManager.tellGap(besides: self) }
            servesBehindDeath = true
            handlerManager.log.error(
                "handler \"\(handler)\": process \(process.number), generation \(module.generation), \(end); its connections"
                    + " wait for another one")
            phase = .mourning(ledger)
            if !isGivenConnections { bury(ledger, now) }
        case .distant, .left, .failed, .ended: break
        }
    }

    /// The process of the former generation may still be giving connections to this one's.
    private var isGivenConnections: Bool {
        guard let former, hadFormerProcess, !isAlone else { return false }
        return (former.process != nil || former.isDistant) && !former.hasKept
    }

    /// Whoever was with its process, or on the way there, waits for the next one.
    private func bury(_ ledger: LedgerReader?, _ now: UInt64) {
        tellDied(ledger)
        waitForNext(now)
    }

    private func tellDied(_ ledger: LedgerReader?) {
        var death = ProcessDeath(port: port, ledger: ledger)
        if let former, hadFormerProcess, !isAlone, let left = former.ledger {
            death.former = (former.port, left)
        }
        post(.died(death))
        // Nobody else goes on with those that it had.
        former?.sweep()
    }

    /// What there is to read of its process, which may still write.
    private var ledger: LedgerReader? {
        if case .left(let ledger) = phase { return ledger }
        if case .distant(let ledger, _) = phase { return ledger }
        return process.flatMap { try? LedgerReader($0.ledger) }
    }

    /// Whoever it has given to a process that has gone is with nobody; where it goes on itself, they come back.
    private func keep() {
        hasKept = true
        if let heir {
            heir(.init(handler: handler, isKept: true))
        } else if next == nil {
            post(.died(ProcessDeath(port: port, ledger: ledger, isAlive: true)))
        }
        handlerManager.loop.bell.ring()
    }

    private func waitForNext(_ now: UInt64) {
        guard let pause = crashes.note(at: now) else { return fail("it has crashed five times within a minute", now) }
        phase = .waiting(until: now &+ pause)
        handlerManager.loop.bell.ring()
    }

    private func fail(_ why: String, _ now: UInt64) {
        phase = .failed(why)
        guard hasServed else { return }
        handlerManager.log.error("handler \"\(handler)\": generation \(module.generation) is given up: \(why)")
        handlerManager.giveUp(self, why)
    }

    /// Nobody goes on with its connections.
    func giveUp(_ failure: IsolationFailure) {
        port.giveUp(failure)
        post(.givenUp(port))
    }

    /// Another generation serves, and gets its connections.
    ///
    /// - Parameter next: where whoever is with no process goes.
    private func leave(to next: IsolatedPort) {
        self.next = next
        port.redirect(to: next)
        let longest =
            handlerManager.configuration.routes.filter { $0.handler == handler }
            .map(\.limits.drainTimeoutMilliseconds).max() ?? 60_000
        // Whoever its process has not told by then; where the next one goes, it has nobody to hand over to.
        drainsUntil = handlerManager.deadline(milliseconds: longest + 5000)
        switch phase {
        case .serving(let process): phase = .leaving(process)
        case .launching(let process, _):
            process.kill()
            phase = .ended
        case .mourning(let ledger):
            tellDied(ledger)
            phase = .ended
        case .waiting, .failed, .ended: phase = .ended
        case .leaving, .distant, .left: return
        }
        if process == nil { redirect() }
    }

    private func redirect() {
        guard let next else { return }
        post(.redirected(from: port, to: next))
    }

    /// Whoever is still with its process, which has gone, has nobody but this one; the others are with the next one.
    func sweep() {
        guard case .left(let ledger) = phase else { return }
        post(.died(ProcessDeath(port: port, ledger: ledger)))
        phase = .ended
        if next == nil { return giveUp(IsolationFailure(code: 1012, reason: "the handler's process has ended")) }
        redirect()
    }

    /// The gateway ends, or the generation does: its process is told.
    func stop() {
        switch phase {
        case .serving(let process):
            process.send(.stop)
            phase = .leaving(process)
        case .launching(let process, _):
            process.kill()
            phase = .ended
        case .mourning, .waiting, .distant, .left, .failed: phase = .ended
        case .leaving(let process): process.send(.stop)
        case .ended: break
        }
        handlerManager.loop.bell.ring()
    }

    /// It is not waited for any more.
    func kill() { process?.kill() }
}
