import GatewayCluster
import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// This program, as the one whose place another one is to take. It belongs to the control thread, which steps it.
///
///     starting ─hello─▶ greeted ─handlersStarted─▶ saving ─▶ saved ─ready─▶ closing ─▶ counting ─▶ handing
///        │ anything that goes wrong so far changes nothing                                            │ serving
///        ▼                                                                                            ▼
///     refused                            ended ◀─ nobody is left ─ staying ◀─ all have been looked at ─ moving
/// A successor that goes while connections move takes those with it that it has; the listeners come back here.
final class Predecessor {
    private enum Phase {
        case starting, greeted
        case saving
        case saved
        /// Nobody accepts any more, once the fence is passed.
        case closing(Fence)
        /// The slots that have been used are counted, once the fence is passed.
        case counting(Fence, UsedSlots)
        case handing
        case moving(ConnectionTransfer)
        case staying(ConnectionTransfer)
        case ended
    }

    /// How the upgrade went.
    enum Outcome {
        /// Nothing was changed.
        case refused(String)
        /// The successor serves: what there is to say of the connections.
        case moved(String, SuccessionMessage.Remaining)
        /// The successor had taken over, and has gone.
        case lost(String)
        /// Those that are still here stay, and the successor knows it.
        case kept
    }

    /// How long a successor may take to come up beyond the longest `start_timeout`.
    private static let patience: Int64 = 60_000
    /// How long connections may take that move as soon as they are quiet, before whoever asked is answered.
    private static let quietPatience: Int64 = 10_000
    /// So often a tenth of a second without progress is waited for at the end.
    private static let pushes = 100
    /// How often the successor hears who stays.
    private static let tellingInterval: UInt64 = 1_000_000_000

    /// What asked for it, and who waits for the answer: a client of the control socket, if any.
    let cause: String
    let client: UInt64?
    /// The file of the new program, for people.
    let path: String
    let process: SuccessorProcess
    private unowned let server: Server
    private var link: SuccessionLink
    private var phase = Phase.starting
    private var deadline: UInt64
    /// What the successor has said first. It is answered when no process of a handler is being started again.
    private var greeting: SuccessionMessage.Greeting?
    private var states = StatesSaving()
    private var targets: [SuccessionMessage.RouteTarget] = []
    private var toldRemaining: (remaining: SuccessionMessage.Remaining, at: UInt64)?
    private var switchedAt: UInt64 = 0
    /// Passed when no connection goes over any more.
    private var lastOnes: Fence?
    /// Whoever is here then stays, and this side is not there any more for the other one.
    private var endsBehindThose = false
    /// Connections that the first process relays stay.
    private let keepsRelayed: Bool
    /// Connections of another program were told to go before this one began.
    let hasLetGo: Bool
    /// Handlers whose processes the successor's own relieve.
    private var heirs: Set<String> = []
    private var hasToldAway = false
    private var sharing = TopicsSharing()

    /// Starts the successor.
    init(_ request: UpgradeRequest, _ server: Server) throws(ChildProgram.Failure) {
        (cause, client, path, self.server) = (request.cause, request.client, request.program.title, server)
        (keepsRelayed, hasLetGo) = (false, request.hasLetGo)
        var pair = try ChildProgram.makePair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { preconditionFailure("a pair has two ends") }
        link = try ChildProgram.makeLink(near)
        process = try SuccessorProcess(
            request.program.child(server.environment.ofSuccessor), from: request.program.held, far,
            supervisor: server.supervisor)
        deadline = Self.deadline(server)
    }

    /// Gives way to a process of the same handler, which the first process has started.
    ///
    /// - Parameter socket: the way to it.
    init(
        givingWayOver socket: consuming DescriptorSocket, keepsRelayed: Bool, _ server: Server
    ) throws(ChildProgram.Failure) {
        (self.keepsRelayed, hasLetGo) = (keepsRelayed, false)
        (cause, client, path, self.server) = ("the next generation", nil, "the next process", server)
        link = try ChildProgram.makeLink(socket)
        process = SuccessorProcess()
        deadline = Self.deadline(server)
    }

    private static func deadline(_ server: Server) -> UInt64 {
        let longest = server.handlerManager.configuration.routes.map(\.limits.startTimeoutMilliseconds).max() ?? 0
        return server.handlerManager.deadline(milliseconds: longest + patience)
    }

    /// Readable when there is something to step for.
    var descriptors: [Int32] { [link.number] + process.descriptors }

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? {
        var times = [link.retryAt, states.nextStep].compactMap { $0 }
        switch phase {
        case .starting, .greeted, .saving, .saved, .closing, .handing, .moving: times.append(deadline)
        // A thread of a handler may be publishing just now.
        case .counting: times.append(server.context.clock() &+ 2_000_000)
        case .staying: times.append(server.context.clock() &+ Self.tellingInterval)
        case .ended: break
        }
        return times.min()
    }

    /// Listeners and signals are the successor's.
    var hasHandedOver: Bool {
        switch phase {
        case .starting, .greeted, .saving, .saved: false
        case .closing, .counting, .handing, .moving, .staying, .ended: true
        }
    }

    // MARK: Steps

    /// Goes on without waiting.
    ///
    /// - Returns: what there is to tell whoever asked; once with `moved`, and once at most with anything else.
    func step(_ now: UInt64) -> Outcome? {
        for news in process.step() {
            switch news {
            case .started(let number): say("process \(number) of \(path) starts its handlers")
            case .gone(let reason): return fail(reason)
            }
        }
        do throws(SuccessionFailure) {
            forward()
            for message in try link.turn(now: now) {
                if let outcome = hear(message) { return outcome }
            }
            let outcome = advance(now)
            if hasHandedOver { server.context.succession.tellReceived() }
            forward()
            if let fence = lastOnes, fence.isPassed, !link.isFull,
                !endsBehindThose || !server.context.succession.hasOutgoing
            {
                lastOnes = nil
                link.send(endsBehindThose ? .finish : .allSent)
            }
            try link.flush(now: now)
            if let outcome { return outcome }
            if endsBehindThose, lastOnes == nil, link.waiting == 0 { return .kept }
            // How it ended is told by its process; where that is silent, this has to do.
            if link.hasEnded, now >= deadline || process.process == nil { return fail("the new program has ended") }
        } catch {
            return fail(error.description)
        }
        return nil
    }

    /// Says what there is for the other side's connections, as far as there is room for it.
    private func forward() {
        guard hasHandedOver, !link.isFull else { return }
        for item in server.context.succession.takeOutgoing() {
            sharing.note(item)
            if let message = SuccessionMessage(item) { link.send(message) }
        }
        if hearsForBoth, let count = sharing.flush(server) { link.send(.flushed(connections: count)) }
    }

    private var hearsForBoth: Bool {
        greeting?.sharesTopics ?? false && server.context.cluster.isOn.load(ordering: .acquiring)
    }

    private func hear(_ message: SuccessionMessage) -> Outcome? {
        switch (message, phase) {
        case (.hello(let greeting), .starting): self.greeting = greeting
        case (.handlersStarted, .greeted): beginSaving()
        case (.ready(let targets), .saved):
            self.targets = targets
            closeDoors()
        case (.serving, .handing): beginMoving()
        case (.publication(let publication), _):
            server.context.succession.take(.publication(publication.item), server.context)
            // Their processes pass it on to whoever has moved.
            if server.context.neighbours.isOn.load(ordering: .relaxed) {
                for each in server.handlerManager.isolated { each.hear(publication.item) }
            }
        case (.seen(let number), _):
            server.context.succession.note(seen: Int(clamping: number))
            if case .moving(let transfer) = phase { export(transfer) }
        case (.succeed(let handler, let socket), _): succeed(handler, socket)
        case (.keep(let handler), _):
            server.handlerManager.isolated.first { $0.handler == handler }?.process?.send(.keep(handler: handler))
        case (.errand(let errand), _): server.context.succession.take(.errand(errand), server.context)
        case (.stop, _) where hasHandedOver: beginStopping()
        case (.letGo, .moving(let transfer)): phase = .moving(hurry(transfer))
        case (.letGo, .staying(let transfer)): phase = .staying(hurry(transfer))
        case (.letGo, .ended): break
        case (.topicsConfirmed, _): sharing.noteConfirmed(server)
        case (.shareTopic(let share), _): sharing.begin(share, server.context)
        case (.progress(let text), _): say(text)
        case (.abort(let reason), _): return fail(reason)
        default: return fail("\"\(message.kind)\" is not what comes now")
        }
        return nil
    }

    private func advance(_ now: UInt64) -> Outcome? {
        switch phase {
        case .starting where greeting != nil && server.handlerManager.isolated.allSatisfy(\.isSettled): return greet()
        case .starting, .greeted, .saved:
            if now >= deadline { return fail("it was not ready when its time was up") }
        case .saving: saveNext(now)
        case .closing(let fence): if fence.isPassed { countSlots() }
        case .counting(let fence, let slots): if fence.isPassed { handOver(slots) }
        case .handing: if now >= deadline { return fail("it did not serve when its time was up") }
        case .moving(let transfer):
            tellAway(transfer)
            return look(at: transfer, now)
        case .staying(let transfer): tellRemaining(transfer, now)
        case .ended: break
        }
        return nil
    }

    private func say(_ text: String) {
        server.log.info("upgrade: \(text)")
        if let client { server.control?.send(client, text + "\n") }
    }

    // MARK: Before the switch

    private func greet() -> Outcome? {
        guard let greeting else { return nil }
        let own = server.greeting
        if let objection = own.objection(greeting) { return fail(objection) }
        guard greeting.workers == own.workers else {
            return fail(
                "it has \(greeting.workers) workers, and this program \(own.workers): \"threads\" takes effect with a new start"
            )
        }
        server.context.cluster.ignore(greeting.clusterOrigin)
        for each in server.handlerManager.isolated {
            if let (share, ledger) = each.share { link.send(.handlerProcess(share, ledger)) }
        }
        if let file = server.programFile { link.send(file) }
        link.send(.welcome(own))
        phase = .greeted
        return nil
    }

    /// The process of a handler is to give its connections to the successor's.
    private func succeed(_ handler: String, _ socket: PassedDescriptors) {
        let process = server.handlerManager.isolated.first { $0.handler == handler && $0.share != nil }
        guard let process else { return link.send(.handlerNews(.init(handler: handler, isGone: true))) }
        heirs.insert(handler)
        process.giveWay(over: socket) { [unowned self] news in link.send(.handlerNews(news)) }
    }

    /// The successor is to know of all connections that the processes of handlers have before it gets them from there.
    private func tellAway(_ transfer: ConnectionTransfer) {
        guard !hasToldAway, transfer.passed.load(ordering: .acquiring) >= server.context.ports.count,
            !server.context.succession.hasOutgoing
        else { return }
        hasToldAway = true
        link.send(.allAway)
    }

    private func beginSaving() {
        phase = .saving
        for service in server.handlerManager.handlers.values { states.add(service) }
    }

    private func saveNext(_ now: UInt64) {
        guard states.step(server.handlerManager, now, { link.send(.instanceState($0)) }) else { return }
        link.send(.statesDone)
        phase = .saved
    }

    // MARK: The switch

    /// From here on nobody is accepted by this program: whoever comes waits in the backlog, which is the successor's as well.
    private func closeDoors() {
        server.context.succession.begin(.predecessor, bell: server.loop.bell)
        for port in server.context.ports { port.post(.listeners(Listeners([]))) }
        phase = .closing(fence())
    }

    private func fence() -> Fence {
        let fence = Fence(passers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.fence(fence)) }
        return fence
    }

    /// Peers that one worker has accepted for another one are there now.
    private func countSlots() {
        let slots = UsedSlots()
        for port in server.context.ports { port.post(.countSlots(slots)) }
        phase = .counting(fence(), slots)
    }

    private func handOver(_ slots: UsedSlots) {
        guard server.context.succession.isKnown else { return }
        for port in server.context.ports {
            guard let count = slots[port.index] else { continue }
            link.send(
                .slots(
                    .init(worker: port.index, count: count.used, serial: count.serial, timer: port.timers.lastNumber)))
        }
        let given = server.giveListenersAway { share, descriptor in
            link.send(.listener(share, PassedDescriptors(descriptor)))
        }
        link.send(.serve)
        phase = .handing
        switchedAt = server.context.clock()
        deadline = server.handlerManager.deadline(milliseconds: Self.patience)
        server.log.info("upgrade: \(given) listening sockets go to the new program")
    }

    private func beginMoving() {
        let transfer = server.makeTransfer(targets, keepsRelayed: keepsRelayed, heirs: heirs)
        server.handlerManager.giveWay()
        for each in server.handlerManager.isolated {
            if heirs.contains(each.handler) { each.endServing() }
            each.drain(until: server.handlerManager.deadline(milliseconds: server.longestDrain))
        }
        if greeting?.tellsSeen ?? false { server.context.succession.note(seen: 0) }
        export(transfer)
        phase = .moving(transfer)
        deadline = server.handlerManager.deadline(milliseconds: Self.quietPatience)
    }

    /// The processes of handlers that give way to the successor's.
    private var isolated: [IsolatedHandler] {
        server.handlerManager.isolated.filter { heirs.contains($0.handler) }
    }

    /// Within so long they are told then, in milliseconds: they come back to the successor, which serves alone.
    private static let hurry: Int64 = 1000

    /// The successor is itself to be replaced, and waits for the end of this program.
    private func hurry(_ transfer: ConnectionTransfer) -> ConnectionTransfer {
        say("process \(getpid()) lets go of the connections that are left with it (1012)")
        let hurried = ConnectionTransfer(
            hurrying: transfer, within: TimerWheel.ticks(milliseconds: Self.hurry),
            reason: "the gateway goes back to the program before")
        for each in server.handlerManager.isolated { each.drain(until: server.context.clock()) }
        export(hurried)
        return hurried
    }

    private func export(_ transfer: ConnectionTransfer) {
        for port in server.context.ports { port.post(.export(transfer)) }
    }

    private func look(at transfer: ConnectionTransfer, _ now: UInt64) -> Outcome? {
        let hasPassed = transfer.passed.load(ordering: .acquiring) >= server.context.ports.count
        let isDone = hasPassed && hasToldAway && transfer.remainder.busy == 0 && isolated.allSatisfy(\.hasHandedOver)
        guard isDone || now >= deadline else { return nil }
        phase = .staying(transfer)
        tellRemaining(transfer, now)
        let moved = transfer.movedInAll
        let took = (now &- switchedAt) / 1_000_000
        let process = process.process.map { "process \($0)" } ?? "the new program"
        var text = "\(process) serves, \(moved) connection\(moved == 1 ? "" : "s") moved in \(took) ms"
        let remaining = remaining(transfer, now)
        if !remaining.reasons.isEmpty {
            text += "; \(remaining.count) stay with process \(getpid()) (\(remaining.reasons.joined(separator: ", ")))"
            let seconds = (Int64(clamping: remaining.milliseconds) + 999) / 1000
            text += ", for \(Unit.text(milliseconds: seconds * 1000)) at most"
        }
        return .moved(text, remaining)
    }

    // MARK: Behind the switch

    private func remaining(_ transfer: ConnectionTransfer, _ now: UInt64) -> SuccessionMessage.Remaining {
        var remainder = transfer.remainder
        remainder.unmovable += isolated.reduce(0) { $0 + Int(clamping: $1.remaining?.count ?? 0) }
        let patience = server.longestDrain
        let gone = Int64(clamping: (now &- switchedAt) / 1_000_000)
        // Some of those that have been looked at may have gone, and whoever has just left may still count as here.
        let count = min(remainder.total, server.context.connections.load(ordering: .relaxed))
        return .init(
            count: UInt64(max(0, count)), reasons: remainder.reasons, milliseconds: UInt64(max(0, patience - gone)))
    }

    private func tellRemaining(_ transfer: ConnectionTransfer, _ now: UInt64) {
        let remaining = remaining(transfer, now)
        if remaining.count != toldRemaining?.remaining.count, now >= (toldRemaining?.at ?? 0) &+ Self.tellingInterval {
            toldRemaining = (remaining, now)
            link.send(.remaining(remaining))
        }
        let hasNobody =
            server.firstProcess?.mayEnd(server) ?? (server.context.connections.load(ordering: .relaxed) <= 0)
        if hasNobody { for each in isolated { each.expectNobody() } }
        guard hasNobody, isolated.allSatisfy({ $0.process == nil }) else { return }
        guard !hearsForBoth || sharing.mayEnd(now, server.context) else { return }
        guard !server.context.succession.hasOutgoing, link.waiting == 0 else { return }
        if server.endBehindSuccessor() { phase = .ended }
    }

    /// What is left to say goes out, and then nothing does any more. The handlers have ended.
    func finish() {
        phase = .ended
        if !pushAll() { server.log.error("upgrade: the new program does not read: what was on its way there is lost") }
        // Before the successor knows that it is alone, and may ask for one of its own.
        process.tellServing()
        // This is its last turn, and the message a short one.
        _ = server.supervisor?.turn(now: server.context.clock())
        link.send(.finish)
        _ = pushAll()
    }

    /// - Returns: whether everything has left; not when nothing does for a while.
    private func pushAll() -> Bool {
        var (before, patience) = (Int.max, Self.pushes)
        while server.context.succession.hasOutgoing || link.waiting > 0 {
            forward()
            do throws(SuccessionFailure) {
                try link.flush(now: server.context.clock())
            } catch {
                return false
            }
            patience = link.waiting < before ? Self.pushes : patience - 1
            if link.hasEnded || patience == 0 { return false }
            before = link.waiting
            var interest = pollfd(fd: link.number, events: Int16(POLLIN), revents: 0)
            if link.waiting > 0 { _ = unsafe poll(&interest, 1, 100) }
        }
        return true
    }

    /// Nobody goes over any more, and whoever is here stays.
    func endGiving() {
        guard hasHandedOver, !endsBehindThose else { return }
        endsBehindThose = true
        for port in server.context.ports { port.post(.endExport) }
        lastOnes = fence()
    }

    /// The gateway is to end: nobody goes over any more.
    private func beginStopping() {
        for port in server.context.ports { port.post(.endExport) }
        lastOnes = fence()
        server.beginStopping()
    }

    // MARK: Failing

    /// The successor is not needed.
    func abandon(_ why: String) {
        link.send(.abort(why))
        try? link.flush(now: server.context.clock())
        process.kill()
    }

    private func fail(_ reason: String) -> Outcome? {
        // Whatever they have given is not known here any more.
        for each in isolated { if hasHandedOver { each.kill() } else { each.keepServing() } }
        guard hasHandedOver else {
            abandon(reason)
            return .refused(reason)
        }
        // Both end.
        if server.phase == .stopping { phase = .ended }
        if case .ended = phase { return nil }
        var moved: Int?
        switch phase {
        case .moving(let transfer), .staying(let transfer): moved = transfer.movedInAll
        default: break
        }
        phase = .ended
        process.kill()
        server.takeListenersBack()
        // The first process starts another one.
        if server.firstProcess != nil { return .lost(reason) }
        guard let moved else { return .refused(reason) }
        server.beginAnew()
        return .lost("\(reason); this program serves again, and the \(moved) connections that had moved are lost")
    }
}
