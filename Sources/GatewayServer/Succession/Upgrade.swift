import GatewayCluster
import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HandlerModules
import Synchronization

/// What an upgrade of the program has to do with the gateway as a whole: sockets that listen, signals, and the end.
extension Server {
    // MARK: This program is relieved

    /// Has another program come up beside this one, which has rehearsed.
    func beginSuccession(_ request: UpgradeRequest) throws(ChildProgram.Failure) {
        let predecessor = try Predecessor(request, self)
        do throws(Errno) {
            for number in predecessor.descriptors { try loop.watch(number) }
        } catch {
            throw ChildProgram.Failure(description: "the new program cannot be followed: \(error)")
        }
        self.predecessor = predecessor
        // What the process that watches is asked for leaves with the next turn.
        loop.bell.ring()
    }

    /// Another program has taken the place of this one, which only looks after those that stay.
    var isRelieved: Bool { predecessor?.hasHandedOver ?? false }

    /// No other program is to come up any more; one that has taken over goes on.
    func abandonSuccession(_ why: String) {
        guard let predecessor, !predecessor.hasHandedOver else { return }
        predecessor.abandon(why)
        self.predecessor = nil
        let answer = refuseUpgrade(why, predecessor.cause, hasLetGo: predecessor.hasLetGo)
        if let client = predecessor.client { control?.answer(client, answer) }
    }

    /// Goes on with it, and answers whoever asked.
    func stepPredecessor() {
        guard let predecessor, let outcome = predecessor.step(context.clock()) else { return }
        let (cause, client) = (predecessor.cause, predecessor.client)
        let answer: ControlAnswer
        switch outcome {
        case .refused(let reason):
            self.predecessor = nil
            endHandingOver()
            answer = refuseUpgrade(reason, cause, hasLetGo: predecessor.hasLetGo)
        case .moved(let text, let remaining):
            log.info("upgrade (\(cause)): \(text)")
            firstProcess?.tell(remaining)
            answer = ControlAnswer(text, exit: 0)
        case .kept:
            self.predecessor = nil
            return endHandingOver()
        case .lost(let text):
            self.predecessor = nil
            endHandingOver()
            log.error("upgrade (\(cause)) failed: \(text)")
            answer = ControlAnswer("error: upgrade failed: \(text)", exit: 1)
        }
        if let client { control?.answer(client, answer) }
    }

    /// Whoever is still here stays.
    func keepConnections() {
        if let predecessor { predecessor.endGiving() } else { firstProcess?.tellKept(self) }
    }

    /// The process that was to have the connections of this one has gone, or gets no more of them.
    private func endHandingOver() {
        firstProcess?.tellKept(self)
        guard let (passed, keepsRelayed) = waitingHandOver else { return }
        waitingHandOver = nil
        handOver(passed, keepsRelayed: keepsRelayed)
    }

    /// The process of a handler gives its connections to the next one, over a socket that connects the two.
    ///
    /// - Parameter keepsRelayed: those stay that the first process relays.
    func handOver(_ passed: PassedDescriptors, keepsRelayed: Bool) {
        guard phase == .serving else { return }
        guard predecessor == nil else {
            // The process that was to have them is gone, which this one has not noticed yet.
            waitingHandOver = (passed, keepsRelayed)
            return
        }
        guard let descriptor = passed.take() else { return }
        do throws(ChildProgram.Failure) {
            let predecessor = try Predecessor(
                givingWayOver: DescriptorSocket(adopting: descriptor.release()), keepsRelayed: keepsRelayed, self)
            do throws(Errno) {
                for number in predecessor.descriptors { try loop.watch(number) }
            } catch {
                return log.error("the next process cannot be followed: \(error)")
            }
            self.predecessor = predecessor
            loop.bell.ring()
        } catch {
            log.error("connections cannot be handed over: \(error)")
        }
    }

    /// What the successor's routes can take over goes there.
    func makeTransfer(
        _ targets: [SuccessionMessage.RouteTarget], keepsRelayed: Bool, heirs: Set<String>
    ) -> ConnectionTransfer {
        var facts: [String: (handler: String, facts: HandoverFacts)] = [:]
        let policies = Dictionary(
            handlerManager.configuration.routes.map { ($0.name, $0.limits.reload) }, uniquingKeysWith: { $1 })
        for target in targets where [.automatic, .migrate].contains(policies[target.route]) {
            guard let known = try? HandoverFacts(target.facts) else { continue }
            facts[target.route] = (target.handler, known)
        }
        let limits = handlerManager.configuration.limits
        return ConnectionTransfer(
            facts, to: context.succession,
            patience: TimerWheel.ticks(milliseconds: limits.drainTimeoutMilliseconds),
            spread: TimerWheel.ticks(milliseconds: min(limits.drainTimeoutMilliseconds, 10_000)),
            closing: firstProcess == nil ? [] : Set(policies.filter { $0.value == .close }.keys),
            reason: firstProcess == nil ? "the gateway was upgraded" : "the handler was replaced",
            keepsRelayed: keepsRelayed, heirs: heirs, progress: loop.bell)
    }

    /// Nobody takes the connections of this process over: they are told so.
    func closeAll() {
        let transfer = ConnectionTransfer(
            [:], to: context.succession, patience: 1, spread: 1, closing: nil, reason: "the handler was replaced",
            progress: loop.bell)
        for port in context.ports { port.post(.export(transfer)) }
    }

    /// Hands the file of this program on, so that the successor's can be replaced by it again; nil from one process of a
    /// handler to the next.
    var programFile: SuccessionMessage? {
        if firstProcess != nil { return nil }
        do throws(Errno) {
            return try HeldProgram.own()
        } catch {
            log.warn("upgrade: this program's file cannot be handed on, so nobody can go back to it: \(error)")
            return nil
        }
    }

    /// Gives every socket that listens to the successor. What is in the backlogs is accepted there.
    ///
    /// - Returns: how many those are.
    func giveListenersAway(_ give: (SuccessionMessage.ListenerShare, consuming FileDescriptor) -> Void) -> Int {
        var count = 0
        for socket in inherited.duplicates() {
            give(
                .init(role: .spare, address: "", line: nil, inheritedName: socket.name),
                FileDescriptor(adopting: socket.number))
        }
        for entry in listeners.entries where !entry.isClosed {
            entry.listener.giveAway()
            count += 1
            // The service manager's own are among those above.
            if entry.inheritedName != nil { continue }
            guard let duplicate = try? entry.listener.duplicate() else { continue }
            give(
                .init(
                    role: .clients, address: entry.listener.address.description,
                    line: entry.configured?.address.description, inheritedName: nil), duplicate)
        }
        if let socket = try? control?.giveAway() {
            give(.init(role: .control, address: handlerManager.configuration.controlPath ?? ""), socket)
        }
        if let socket = try? admin.giveAway() {
            give(.init(role: .admin, address: admin.address?.description ?? ""), socket)
        }
        return count
    }

    /// The successor has gone: everybody is served here again.
    func takeListenersBack() {
        for entry in listeners.entries { entry.listener.giveAway(false) }
        for port in context.ports {
            port.post(.endExport)
            port.post(.listeners(listeners))
        }
        do throws(Errno) {
            try control?.takeBack()
            try admin.takeBack()
        } catch {
            log.error("upgrade: commands or metrics cannot be asked for any more: \(error)")
        }
        context.succession.end()
    }

    /// Handlers have been told that others serve: they start anew, with what they know.
    func beginAnew() {
        for name in handlerManager.handlerNames(of: handlerManager.configuration) {
            _ = handlerManager.reload(
                handlerManager.service(named: name), cause: "the program that had taken over has gone", isExplicit: true
            )
        }
    }

    /// How long connections stay at most that do not move, in milliseconds.
    var longestDrain: Int64 {
        let configuration = handlerManager.configuration
        let own = configuration.limits.drainTimeoutMilliseconds
        return max(own, configuration.routes.map(\.limits.drainTimeoutMilliseconds).max() ?? own)
    }

    /// Nobody is connected any more, and another program serves. Whoever came in by the control socket or the admin
    /// listener before that one had them is answered here.
    ///
    /// - Returns: whether the end has begun.
    func endBehindSuccessor() -> Bool {
        if phase == .stopping { return true }
        if control?.owesAnswers ?? false || admin.owesAnswers { return false }
        log.info("upgrade: no connection is left here")
        beginStopping()
        return true
    }

    /// The end of this program, whose place another one has taken.
    func finishSuccession() {
        guard let predecessor, isRelieved else { return }
        predecessor.finish()
        guard predecessor.process.isOwnChild else { return }
        log.info("upgrade: this process watches over the one that serves from now on")
        Log.finish()
        predecessor.process.watchOver()
    }

    // MARK: This program takes over

    /// Another program is giving its place to this one: what is replaced meanwhile would be what that has handed over.
    var isTakingOver: Bool {
        guard let successor else { return false }
        return !successor.mayServe || successor.isBeside && handlerManager.isolated.contains { $0.awaitsAll }
    }

    /// What there is to say of an upgrade, for `gateway status`.
    var upgradeNote: String? {
        if let upgrade { return upgrade.note(successor) }
        if let predecessor, !predecessor.hasHandedOver {
            let process = predecessor.process.process.map { " (process \($0))" } ?? ""
            return "\(predecessor.path)\(process) comes up"
        }
        return successor?.note
    }

    /// Nil where no other program is to be relieved.
    static func makeSuccessor(_ succession: inout SuccessionEnvironment) throws(Failure) -> Successor? {
        guard let socket = succession.takePredecessor() else { return nil }
        do throws(Errno) {
            return try Successor(socket)
        } catch {
            throw Failure(description: "no way to the program that serves: \(error)", isConfiguration: false)
        }
    }

    /// All handlers have been tried.
    var hasStartedHandlers: Bool { !handlerManager.isBusy }

    /// Takes sockets over that another program has listened with, for the lines of the configuration, and opens what it has
    /// not had.
    func takeListeners(
        _ shares: [(share: SuccessionMessage.ListenerShare, socket: PassedDescriptors)]
    ) throws(Failure) {
        var rest = shares
        func take(_ fits: (SuccessionMessage.ListenerShare) -> Bool) -> FileDescriptor? {
            guard let index = rest.firstIndex(where: { fits($0.share) }) else { return nil }
            return rest.remove(at: index).socket.take()
        }
        for each in shares where each.share.role == .spare {
            guard let socket = take({ $0 == each.share }) else { continue }
            inherited.add(socket.release(), name: each.share.inheritedName ?? "unknown")
        }
        var entries: [Listeners.Entry] = []
        for listener in startConfiguration.listeners {
            let line = listener.address.description
            if let socket = take({ $0.role == .clients && $0.line == line }) {
                entries.append(try Self.adopt(listener, socket.release()))
            } else {
                entries.append(try Self.open(listener, .plain, inherited))
            }
        }
        listeners = Listeners(entries)
        certificates.takeOver(entries)
        control = try ControlEndpoint(startConfiguration, log, adopted: take { $0.role == .control })
        try admin.begin(startConfiguration.admin, adopted: take { $0.role == .admin })
        for each in rest where each.share.role == .clients { Self.close(each.socket, each.share.address, log) }
        do throws(Errno) {
            if let control { try loop.watch(control.number) }
            if let number = admin.number { try loop.watch(number) }
        } catch {
            throw Failure(description: "cannot follow what listens: \(error)", isConfiguration: false)
        }
    }

    /// A line has gone while the program before was still there: peers are refused, and the file of a unix socket goes.
    private static func close(_ socket: PassedDescriptors, _ address: String, _ log: Log) {
        log.info("upgrade: nothing listens on \(address) any more")
        guard let descriptor = socket.take() else { return }
        // What is no listener any more needs nothing.
        if let listener = try? Listener(.adopted(descriptor.release())) { listener.close() }
    }

    private static func adopt(
        _ listener: ListenerConfiguration, _ number: Int32
    ) throws(Failure) -> Listeners.Entry {
        let options = listener.isPlain ? ListenerOptions.plain : try readOptions(listener)
        do throws(Errno) {
            return Listeners.Entry(try Listener(.adopted(number)), configured: listener, options: options)
        } catch {
            throw Failure(
                description: "\(listener.origin): cannot go on listening on \(listener.address): \(error)",
                isConfiguration: false)
        }
    }

    /// Who this is, for the program at the other end.
    var greeting: SuccessionMessage.Greeting {
        var greeting = SuccessionMessage.Greeting(
            program: GatewayVersion.text, process: UInt32(getpid()), workers: UInt16(context.ports.count),
            startedAt: UInt64(startedAt))
        greeting.clusterOrigin = context.cluster.origin
        greeting.sharesTopics = context.cluster.isOn.load(ordering: .acquiring)
        greeting.generations = handlerManager.handlers.values.compactMap { service in
            service.serving.map {
                .init(handler: service.name, number: $0.generation.number, digest: $0.generation.digest)
            }
        }
        return greeting
    }
}

extension HandlerManager {
    /// Counts generations on from those of another program.
    func goOn(after numbers: [String: UInt64]) {
        for (name, number) in numbers { service(named: name).module.goOn(after: number) }
    }
}
