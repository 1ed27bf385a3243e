import CLinux
import GatewayCluster
package import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc
import HTTP
import HandlerModules
import Synchronization
import WebSocket

/// The gateway as a whole: what the configuration asks for, brought up, run and taken down by the control thread.
///
///     configuration ─▶ listeners ─▶ handlers ─▶ workers ─▶ signals … ─▶ 1001 to all peers ─▶ workers end ─▶ stop
package final class Server {
    /// Why the gateway could not come up.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
        /// Whether the exit status of the process is that of a wrong configuration.
        package let isConfiguration: Bool
    }

    /// What the process began with.
    let startConfiguration: Configuration
    let log: Log
    var listeners: Listeners
    let context: ServerContext
    let handlerManager: HandlerManager
    let loop: ControlLoop
    let serviceManager: ServiceManager
    private let signals: FileDescriptor
    private let runDirectory: RunDirectory
    private let capacity: Int
    var control: ControlEndpoint?
    let listings: ConnectionListings
    let traces: Traces
    let admin: AdminEndpoint
    let inherited: InheritedSockets
    let certificates: CertificateKeeper
    /// Nil with `watch off`.
    let watch: ModuleWatch?
    /// Seconds since 1970.
    let startedAt = Clock.wallSeconds()
    /// What the control thread is doing.
    var phase = StatusReport.Process.Phase.starting
    /// Monotonic nanoseconds; counts while draining.
    var drainsUntil: UInt64 = 0
    var configurationReload: StatusReport.ConfigurationReload?
    /// Reloads that were asked for and are not over.
    var requests: [ReloadRequest] = []
    /// A configuration that is being taken over.
    var takeover: Takeover?
    /// The request to read the file once that is done.
    var waitingRequest: ReloadRequest?
    /// The service manager knows of a reload, and not of its end.
    var isReloadTold = false
    /// The way to the process that watches over this one; nil where none does.
    let supervisor: SupervisorPipe?
    private var endingSignals = EndingSignals()
    /// What the service manager says.
    let environment: ServiceEnvironment
    /// An upgrade of the program that is under way, as long as it rehearses.
    var upgrade: UpgradeRequest?
    /// Another program is to take the place of this one.
    var predecessor: Predecessor?
    /// The way to the one after that, which is to have what is left.
    var waitingHandOver: (PassedDescriptors, keepsRelayed: Bool)?
    /// This one takes the place of another one.
    let successor: Successor?
    /// This is the process of a handler: the way to the first process.
    let firstProcess: FirstProcess?

    /// Listens, loads and starts; nothing is served yet.
    ///
    /// - Parameter prober: the program that tries modules in a process of its own: this one, but in tests.
    /// - Parameter options: of its listeners; others than plain ones only in tests.
    /// - Parameter environment: what the service manager says.
    /// - Parameter succession: what another program of the gateway says that has started this one.
    /// - Parameter clock: monotonic nanoseconds for the control thread; one that a test moves in tests.
    package init(
        _ configuration: Configuration, prober: String = Server.ownProgram, options: ListenerOptions = .plain,
        environment: ServiceEnvironment = ServiceEnvironment(),
        succession: consuming SuccessionEnvironment = SuccessionEnvironment(),
        clock: @escaping @Sendable () -> UInt64 = { Clock.monotonicNanoseconds() }
    ) throws(Failure) {
        startConfiguration = configuration
        self.environment = environment
        successor = try Self.makeSuccessor(&succession)
        let isFirst = !succession.isHandlerProcess
        if successor == nil, isFirst { try ControlEndpoint.refuseRival(configuration) }
        let logs = try OpenedLogs(configuration)
        log = Log(logs.error)
        if !isFirst { log.quieten() }
        let room: Int
        (capacity, room) = Self.makeRoom(configuration, isFirst ? log : nil)
        inherited = InheritedSockets(environment.descriptors)
        // Where another program still listens, its sockets come later.
        listeners = Listeners(successor == nil ? try Self.listen(configuration, options, inherited) : [])
        if successor == nil { for warning in inherited.closeOthers() { log.warn(warning) } }
        control = successor == nil ? try ControlEndpoint(configuration, log) : nil
        admin = try AdminEndpoint(successor == nil ? configuration.admin : nil)
        let folders = StateFolders(configuration, environment)
        let made = try folders.make()
        let crashes = isFirst ? CrashRecord.all(in: folders.crashFile) : []
        folders.recordCrashes(log)
        try Self.dropPrivileges(
            configuration, own: [control == nil ? nil : configuration.controlPath, made].compactMap { $0 }, log)
        do throws(Errno) {
            signals = FileDescriptor(adopting: clinux_signal_descriptor())
            guard signals.number >= 0 else { throw Errno.last }
            loop = try ControlLoop(clock: clock)
            serviceManager = ServiceManager(environment, log, bell: loop.bell)
            supervisor = try SupervisorPipe.make(&succession)
            firstProcess = try FirstProcess.make(&succession, bell: loop.bell)
            let numbers = [
                signals.number, control?.number, admin.number, supervisor?.number, successor?.number,
                firstProcess?.number,
            ]
            for number in numbers.compactMap({ $0 }) { try loop.watch(number) }
            context = try Self.makeContext(
                configuration, log, capacity: capacity, descriptorRoom: room, access: logs.access,
                firstProcess: firstProcess?.mail, ledger: try Ledger.take(&succession), clock: clock)
        } catch {
            throw Failure(description: "cannot set up the workers: \(error)", isConfiguration: false)
        }
        try Self.startCluster(configuration, context)
        listings = ConnectionListings(context, bell: loop.bell)
        traces = Traces(context, bell: loop.bell)
        certificates = CertificateKeeper(
            listeners.entries, log, loop, settle: .milliseconds(configuration.settleMilliseconds), clock: clock)
        runDirectory = try folders.makeRunDirectory()
        handlerManager = HandlerManager(
            server: context, configuration: configuration, runDirectory: runDirectory,
            lastGood: LastGood(in: folders.lastGoodFolder), loop: loop, prober: prober, crashes: crashes,
            given: succession.takeModule())
        watch = configuration.pluginsWatch ? ModuleWatch(handlerManager.locator, configuration, clock) : nil
        try bringUp()
    }

    /// Loads and starts the handlers; signals and commands are heard meanwhile.
    private func bringUp() throws(Failure) {
        if let successor { successor.greet(greeting) } else { handlerManager.startAll() }
        do throws(Errno) {
            if let number = watch?.number { try loop.watch(number) }
            repeat {
                try turn()
                if successor?.failure ?? firstProcess?.failure != nil || phase != .starting { break }
                if !handlerManager.isBusy, successor?.mayServe ?? true, firstProcess?.mayServe ?? true { break }
                try loop.sleep(until: nextTurn)
            } while true
        } catch {
            throw Failure(description: "cannot set up the handlers: \(error)", isConfiguration: false)
        }
        if let failure = successor?.failure {
            runDirectory.remove()
            firstProcess?.abort(failure)
            throw Failure(description: "this program does not take over: \(failure)", isConfiguration: false)
        }
        if let failure = firstProcess?.failure {
            runDirectory.remove()
            firstProcess?.abort(failure)
            throw Failure(description: failure, isConfiguration: false)
        }
        if phase == .starting { phase = .serving }
        if phase == .stopping { return }
        if !handlerManager.servesSomething, !startConfiguration.routes.isEmpty {
            runDirectory.remove()
            throw Failure(description: "no route can be served", isConfiguration: true)
        }
    }

    /// The file this program was started from. By its name, since an emulator of the processor (valgrind) has a
    /// /proc/self/exe of its own; as the kernel knows it where the name is gone.
    package static var ownProgram: String {
        let link = "/proc/self/exe"
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(PATH_MAX)) { buffer in
            guard let start = buffer.baseAddress else { return link }
            let count = unsafe readlink(link, start, buffer.count)
            guard count > 0, count < buffer.count else { return link }
            let name = unsafe String(
                decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]), as: UTF8.self)
            return unsafe access(name, X_OK) == 0 ? name : link
        }
    }

    // MARK: Coming up

    /// Engines are looked for while handlers are being loaded.
    private static func startCluster(_ configuration: Configuration, _ context: ServerContext) throws(Failure) {
        let prepared = try ClusterLine.prepare(configuration, context.cluster)
        context.cluster.commit(prepared, local: ClusterLine.localRoutes(configuration)) { _ in }
    }

    /// From here on it is an ordinary user who loads handlers and serves. What only root can do has been done.
    private static func dropPrivileges(
        _ configuration: Configuration, own paths: [String], _ log: Log
    ) throws(Failure) {
        guard let name = configuration.user else { return }
        do throws(ServiceUser.Trouble) {
            let user = try ServiceUser(name)
            for path in paths { try user.own(path) }
            try user.become()
        } catch {
            let origin = configuration.origins["user"]?.description ?? "user"
            throw Failure(description: "\(origin): \(error)", isConfiguration: true)
        }
        log.info("running as user \"\(name)\"")
        for file in ServiceUser.unreadable(configuration) {
            log.warn("user \"\(name)\" cannot read \(file): reloads will be refused until he can")
        }
    }

    private static func listen(
        _ configuration: Configuration, _ options: ListenerOptions, _ inherited: InheritedSockets
    ) throws(Failure) -> [Listeners.Entry] {
        var entries: [Listeners.Entry] = []
        for listener in configuration.listeners {
            entries.append(try open(listener, options, inherited))
        }
        return entries
    }

    static func open(
        _ listener: ListenerConfiguration, _ options: ListenerOptions, _ inherited: InheritedSockets
    ) throws(Failure) -> Listeners.Entry {
        let options = listener.isPlain ? options : try readOptions(listener)
        let address: Listener.Address
        do throws(ServiceUser.Trouble) {
            address = try Listener.Address(listener)
        } catch {
            throw Failure(description: "\(listener.origin): \(error)", isConfiguration: true)
        }
        do throws(Errno) {
            let taken = try inherited.take(listener.address)
            return Listeners.Entry(
                try Listener(taken.map { .inherited($0.number) } ?? address), configured: listener, options: options,
                inheritedName: taken?.name)
        } catch {
            throw Failure(
                description: "\(listener.origin): cannot listen on \(listener.address): \(error)",
                isConfiguration: false)
        }
    }

    /// What a `listen` line asks for, with the files that it names as they are now.
    ///
    /// - Parameter before: what new connections of the listener begin with so far.
    static func readOptions(
        _ listener: ListenerConfiguration, after before: ListenerOptions? = nil
    ) throws(Failure) -> ListenerOptions {
        do throws(ListenerCertificates.Trouble) {
            return try ListenerOptions(listener, after: before)
        } catch {
            throw Failure(description: error.description, isConfiguration: true)
        }
    }

    // MARK: Serving

    /// The ports it listens on, in the order of the configuration; 0 for unix sockets.
    package var listeningPorts: [UInt16] { listeners.entries.map { $0.listener.address.port } }

    /// Where a browser on this machine finds the console; nil when there is none, or no browser gets there.
    private var consoleURL: String? {
        guard let path = handlerManager.configuration.consolePath,
            let entry = listeners.entries.first(where: {
                $0.listener.address.port != 0 && !$0.options.takesProxyHeader
            })
        else { return nil }
        let port = entry.listener.address.port
        let scheme = entry.options.isSecure ? "https" : "http"
        if case .any? = entry.configured?.address { return "\(scheme)://localhost:\(port)\(path)" }
        return "\(scheme)://\(entry.listener.address)\(path)"
    }

    /// Ends `run` from any thread.
    package struct Stopper: Sendable {
        fileprivate let ports: [WorkerPort]

        /// Does what SIGTERM does: says 1001 to every peer; `run` returns when they are gone.
        package func stop() {
            for port in ports { port.post(.stop) }
        }
    }

    package var stopper: Stopper { Stopper(ports: context.ports) }

    /// Serves until a signal says otherwise; returns when the last connection is gone.
    package func run() throws(Failure) {
        do throws(Errno) {
            if phase != .stopping { try serve() }
            handlerManager.end()
            while !handlerManager.hasEnded {
                try turn()
                if handlerManager.hasEnded { break }
                try loop.sleep(until: nextTurn)
            }
        } catch {
            throw Failure(description: "cannot serve: \(error)", isConfiguration: false)
        }
        context.cluster.stop()
        runDirectory.remove()
        finishSuccession()
        log.info("stopped")
        dismissRequests()
        admin.close()
        control?.finish()
    }

    /// With workers, until they have ended.
    private func serve() throws(Errno) {
        let threads = try startWorkers()
        firstProcess?.tellServing()
        successor?.tellServing(self)
        for entry in listeners.entries { log.info("listening on \(entry.description)") }
        if let address = admin.address { log.info("metrics and health are at \(address)") }
        if let url = admin.dashboardURL { log.info("the dashboard is at \(url)") }
        if let console = consoleURL { log.info("the console is at \(console)") }
        log.info("serving with \(context.ports.count) workers")
        serviceManager.tellReady(serviceStatus, at: context.clock())
        try loop.watch(threads.ended.number)
        try watchStalls()
        defer { context.stallWatch?.end() }
        while threads.working.load(ordering: .acquiring) > 0 {
            try turn()
            try loop.sleep(until: nextTurn)
            threads.ended.answer()
        }
    }

    /// Looks for callbacks that hold up a loop, on a thread of its own: this one has files to read.
    private func watchStalls() throws(Errno) {
        guard let watch = context.stallWatch else { return }
        watch.watch(handlerManager.routing.routes)
        try SystemThread(name: "stall watch") { watch.run() }.detach()
    }

    /// The workers' threads, and a way to learn that they have ended.
    private final class WorkerThreads: Sendable {
        let working: Atomic<Int>
        let ended: Waker

        init(_ count: Int) throws(Errno) {
            working = Atomic(count)
            ended = try Waker()
        }
    }

    private func startWorkers() throws(Errno) -> WorkerThreads {
        let threads = try WorkerThreads(context.ports.count)
        let (context, listeners, capacity) = (context, listeners, capacity)
        for port in context.ports {
            let reserved = successor?.reserved(by: port.index)
            let thread = try SystemThread(name: "worker \(port.index)") {
                // An overflow of the stack can only be told on another one.
                _ = clinux_make_crash_stack()
                do throws(Errno) {
                    let worker = try Worker(port: port, server: context, listeners: listeners, capacity: capacity)
                    if let reserved { worker.table.reserve(reserved.count, serialsUpTo: reserved.serial) }
                    worker.run()
                } catch {
                    context.log.error("worker \(port.index) cannot work: \(error)")
                    // So that the others give it no peers.
                    port.load.add(1 << 32, ordering: .relaxed)
                }
                threads.working.subtract(1, ordering: .releasing)
                threads.ended.ring()
            }
            thread.detach()
        }
        return threads
    }

    /// A turn of the control thread's loop: signals and commands, and a step of everything that is under way. Nothing
    /// in it waits.
    private func turn() throws(Errno) {
        var sender: pid_t = 0
        while case let number = unsafe clinux_next_signal_of(signals.number, &sender), number != 0 {
            act(on: number, from: sender)
        }
        if let control {
            try control.turn(self)
            listings.turn(control, handlerManager)
            traces.turn(control, handlerManager)
        }
        try admin.turn(self)
        reloadChanged()
        if phase != .stopping { certificates.turn(listeners.entries, isBusy: takeover != nil) }
        handlerManager.step()
        stepRequests()
        stepUpgrade()
        firstProcess?.step(self, context.clock())
        watchDraining()
        admin.tellDashboards(self)
        stepServiceManager()
    }

    /// When the next turn is due even if nothing happens; nil = never.
    private var nextTurn: UInt64? {
        let now = context.clock()
        let draining = phase == .draining ? now &+ 50_000_000 : nil
        let watching = watchesFiles ? watch?.pause : nil
        let certifying = phase == .stopping ? nil : certificates.pause(listeners.entries)
        let pauses = [control?.milliseconds(now), admin.milliseconds(now), watching, certifying].compactMap { $0 }
            .map { now &+ UInt64(max(0, $0)) &* 1_000_000 }
        let others = [
            draining, handlerManager.nextStep(now), serviceManager.deadline, listings.deadline, traces.deadline,
            supervisor?.deadline, upgrade?.nextStep, predecessor?.nextStep, successor?.nextStep,
            firstProcess?.nextStep(self),
        ]
        return (pauses + others.compactMap { $0 }).min()
    }

    /// Ends the process without waiting for any peer: it was asked to twice.
    func endAtOnce(_ status: Int32) -> Never {
        runDirectory.remove()
        log.warn("stopped at once: asked twice")
        dismissRequests()
        admin.close()
        control?.finish(ControlAnswer("stopped at once: asked twice", exit: 0))
        Log.finish(patience: 50)
        _exit(status)
    }

    /// Ends a process that serves nobody, whatever its handlers are busy with.
    func endUnserved() -> Never {
        runDirectory.remove()
        Log.finish(patience: 50)
        _exit(1)
    }

    private func act(on signal: Int32, from sender: pid_t) {
        if let firstProcess { return firstProcess.hear(signal) }
        if let predecessor, isRelieved {
            // Whoever sent it means the gateway, of which this program is what is left.
            predecessor.process.handOn(signal)
            if signal != SIGTERM && signal != SIGINT { return }
            return phase == .stopping ? () : beginStopping()
        }
        switch signal {
        case SIGTERM, SIGINT:
            if endingSignals.isEcho(from: sender, watcher: supervisor == nil ? nil : getppid()) { return }
            if phase == .stopping { endAtOnce(128 + signal) }
            beginStopping()
        case SIGHUP:
            guard phase == .serving || phase == .starting, predecessor == nil else {
                tellReloadOver()
                let why = predecessor == nil ? "the gateway is \(phase.rawValue)" : "its program is being replaced"
                return log.info("SIGHUP: nothing is reloaded, \(why)")
            }
            reloadEverything(cause: "SIGHUP", client: nil)
        case SIGUSR1:
            LogFiles.reopen()
            handlerManager.reopenLogs()
            log.info("SIGUSR1: files of logs are opened again")
        case SIGUSR2: _ = beginUpgrade(.installed, cause: "SIGUSR2", client: nil)
        default: log.debug("signal \(signal) means nothing here")
        }
    }
}
