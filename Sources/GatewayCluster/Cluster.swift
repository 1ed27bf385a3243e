import CBackplaneABI
import GatewayConfiguration
import GatewayIO
package import Synchronization

/// Topics over several gateways: what is published here goes to the engine that `cluster` names, and what others publish
/// there comes to the members here. Own publications do not come back.
package final class Cluster: Sendable {
    package enum Outcome: Sendable {
        case queued
        /// More than half of the queue waits.
        case high
        /// It was delivered here alone: too much waits, or its name is too long.
        case full
        /// There is no engine.
        case off
    }

    private struct Running: ~Copyable {
        var settings: ClusterSettings?
        var links: [ClusterLink] = []
        /// Routes whose topics end here.
        var local: Set<String> = []
        var rendezvous = Rendezvous([])
        var prefix: [UInt8] = []
        var threads: [LinkThread] = []
    }

    /// There is an engine to send to, asked on every publication.
    package let isOn = Atomic<Bool>(false)
    /// What is known of topics from before it has changed is not so any more.
    private let version = Atomic<UInt64>(0)
    private let running = Mutex(Running())
    private let counters = ClusterCounters()
    private let epochs = NumberEpochs()
    /// What this program publishes under.
    package let origin: UInt64
    private let twin = Twin()
    private let host: any ClusterHost
    private let folders: [String]

    /// - Parameter folders: where modules are looked for.
    package init(host: any ClusterHost, folders: [String]) {
        (self.host, self.folders) = (host, folders)
        origin = UInt64.random(in: 1...UInt64.max)
    }

    /// What another program of this gateway publishes comes another way than from the engines.
    package func ignore(_ origin: UInt64) { twin.origin.store(origin, ordering: .relaxed) }

    /// Control thread: the same of a program whose place this one takes. Until `goOnAlone` it may hear the engines for both.
    package func relieve(_ origin: UInt64, isHearing: Bool) {
        ignore(origin)
        guard isHearing else { return }
        twin.isHearing.store(true, ordering: .relaxed)
        inbox?.beginBeside()
    }

    /// Control thread: the other program passes this one on.
    ///
    /// - Returns: false for one that members here have had.
    package func notePassed(_ id: PublicationID, _ topic: TopicName) -> Bool { inbox?.notePassed(id, topic) ?? true }

    /// Control thread: the other program hears this topic only from now on.
    package func noteShared(_ topic: TopicName) { inbox?.noteShared(topic) }

    /// This program hears a topic for the other one as well.
    ///
    /// - Parameter begun: called on another thread when it does, unless it has all along.
    package func share(_ topic: TopicName, _ begun: @escaping @Sendable () -> Void) {
        if let (link, name) = link(of: topic) { link.note(.share(name, LinkFence(1, begun))) }
    }

    /// Calls on another thread when engines have what was published here before, as far as they can be reached.
    package func flush(_ done: @escaping @Sendable () -> Void) { fence(done) { .flush($0) } }

    /// Control thread: publishers have come from the other program of whom something may be on its way to an engine; or nothing is any more.
    package func holdBack(_ isBehind: Bool) {
        guard twin.isBehind.exchange(isBehind, ordering: .acquiringAndReleasing) != isBehind, !isBehind else { return }
        for link in running.withLock({ $0.links }) { link.proceed() }
    }

    /// Control thread: the other program hears nothing for this one any more.
    package func goOnAlone() {
        holdBack(false)
        twin.isHearing.store(false, ordering: .relaxed)
        inbox?.goOnAlone()
    }

    /// All engines have one.
    private var inbox: ClusterInbox? { running.withLock { $0.links.first?.inbox } }

    /// Calls on another thread when what has members here is subscribed to, as far as engines can be reached.
    package func confirm(_ done: @escaping @Sendable () -> Void) { fence(done) { .confirm($0) } }

    private func fence(_ done: @escaping @Sendable () -> Void, _ change: (LinkFence) -> ClusterLink.Change) {
        let links = running.withLock { $0.links }
        if links.isEmpty { return done() }
        let fence = LinkFence(links.count, done)
        for link in links { link.note(change(fence)) }
    }

    package var counts: ClusterCounts { counters.counts }

    /// One for each engine.
    package var reports: [LinkReport] { running.withLock { $0.links.map(\.state) } }

    package var settings: ClusterSettings? { running.withLock { $0.settings } }

    // MARK: Engines

    /// What a `cluster` line comes to, before it takes effect.
    package struct Prepared: Sendable {
        fileprivate let settings: ClusterSettings?
        fileprivate var links: [PreparedLink] = []
        fileprivate var rendezvous = Rendezvous([])
        fileprivate var prefix: [UInt8] = []
        /// Nothing changes.
        fileprivate var isSame = false
    }

    /// Control thread: looks whether engines can be spoken with, and speaks with none.
    package func prepare(_ settings: ClusterSettings?) throws(ClusterError) -> Prepared {
        var prepared = Prepared(settings: settings)
        prepared.isSame = self.settings == settings
        guard let settings, !prepared.isSame else { return prepared }
        let module = try module(for: settings.urls)
        let engines = module.takesSeeds ? [settings.urls] : settings.urls.map { [$0] }
        prepared.prefix = Array(settings.prefix.utf8)
        prepared.rendezvous = Rendezvous(engines.map { $0[0] })
        let inbox = ClusterInbox(
            origin: origin, twin: twin, prefix: prepared.prefix, counters: counters, host: host)
        for urls in engines {
            do {
                let link = try ClusterLink(
                    urls, origin: origin, prefix: prepared.prefix, queue: settings.queue, inbox: inbox,
                    counters: counters, epochs: epochs, host: host)
                let engine = try Engine(module, settings, urls: urls, for: link)
                prepared.links.append(PreparedLink(link, try LinkRunner(link, engine, settings)))
            } catch {
                let url = URLSecret.shortened(urls[0])
                throw error as? ClusterError ?? ClusterError("nothing to wait for \(url) with: \(error)")
            }
        }
        return prepared
    }

    /// Control thread: what was prepared takes the place of what was. Connections and their topics stay.
    ///
    /// - Parameters:
    ///   - local: names of the routes whose topics end here.
    ///   - topics: calls with each topic that has members, while none comes or goes.
    package func commit(
        _ prepared: Prepared, local: Set<String>, topics: ((TopicName) -> Void) -> Void
    ) {
        if prepared.isSame {
            let former = running.withLock { running in
                defer { running.local = local }
                return running.local
            }
            if former == local { return }
            version.add(1, ordering: .releasing)
            for link in running.withLock({ $0.links }) { link.queue.renew() }
            return topics { topic in
                if local.contains(topic.scope), !topic.scope.isEmpty {
                    end(topic)
                } else {
                    follow(topic)
                }
            }
        }
        var threads: [LinkThread] = []
        for prepared in prepared.links {
            do throws(Errno) {
                threads.append(try LinkThread { prepared.run() })
            } catch {
                host.log(.error, "cluster \(prepared.link.url): no thread for it: \(error)")
            }
        }
        let links = prepared.links.map(\.link)
        let former = running.withLock { running in
            let former = (running.links, running.threads, running.prefix)
            (running.settings, running.links, running.threads) = (prepared.settings, links, threads)
            (running.rendezvous, running.prefix, running.local) = (prepared.rendezvous, prepared.prefix, local)
            return former
        }
        version.add(1, ordering: .releasing)
        isOn.store(!links.isEmpty, ordering: .releasing)
        topics { follow($0) }
        for link in former.0 { moveOn(link, prefix: former.2) }
        // They end by themselves, which may take as long as an engine takes to answer.
        for link in former.0 { link.stop() }
        for thread in former.1 { thread.detach() }
    }

    /// What waits for an engine that is no more waits for the next one.
    private func moveOn(_ link: ClusterLink, prefix: [UInt8]) {
        var lost: UInt64 = 0
        for run in link.queue.close() {
            for index in 0..<run.count {
                let entry = run[index]
                guard let topic = TopicName(wire: run.name(of: entry).copy, prefix: prefix) else {
                    lost += 1
                    continue
                }
                var known: SharedTopic?
                let flags = entry.flags.subtracting(.first)
                switch unsafe publish(topic, &known, flags, run.payload(entry), at: entry.at) {
                case .queued, .high, .full: known?.ring()
                case .off: lost += 1
                }
            }
        }
        if lost == 0 { return }
        counters.lost.add(lost, ordering: .relaxed)
        host.log(.warning, "cluster \(link.url): \(lost) publications that waited for it are lost")
    }

    /// Which module speaks with the engines of some URLs.
    private func module(for urls: [String]) throws(ClusterError) -> BackplaneModule {
        let names = Set(urls.map { BackplaneModule.name(for: ClusterSettings.scheme(of: $0)) ?? "" })
        guard names.count == 1, let name = names.first, !name.isEmpty else {
            throw ClusterError("\"cluster\" takes URLs of one kind of engine: nats://, redis:// or redis+unix:")
        }
        return try BackplaneModule.load(name, in: folders)
    }

    /// Looks whether engines answer, and lets go of them again.
    ///
    /// - Returns: a text for each that does not.
    package static func check(_ settings: ClusterSettings, folders: [String]) throws(ClusterError) -> [String] {
        let cluster = Cluster(host: Nobody(), folders: folders)
        return try cluster.prepare(settings).links.compactMap { prepared in
            prepared.tryEngine().map { "\(prepared.link.url): \($0)" }
        }
    }

    /// Control thread: the gateway ends. What waits is sent, if that is possible at once.
    package func stop() {
        isOn.store(false, ordering: .releasing)
        let (links, threads) = running.withLock { running in
            defer { (running.links, running.threads, running.settings) = ([], [], nil) }
            return (running.links, running.threads)
        }
        version.add(1, ordering: .releasing)
        for link in links { link.stop() }
        // One that waits for an engine that does not answer would keep the gateway for as long as a call may take.
        let end = Clock.monotonicNanoseconds() + LinkRunner.lastWords
        for thread in threads where !thread.join(until: end) { thread.detach() }
    }

    // MARK: Any thread

    private func link(of topic: TopicName, always: Bool = false) -> (ClusterLink, [UInt8])? {
        running.withLock { running in
            guard !running.links.isEmpty, always || !running.local.contains(topic.scope),
                let name = topic.wire(prefix: running.prefix)
            else { return nil }
            return (running.links[running.rendezvous.index(of: name)], name)
        }
    }

    /// Looks where a topic belongs now.
    private func find(_ topic: TopicName) -> SharedTopic {
        while true {
            let version = version.load(ordering: .acquiring)
            let isShared = running.withLock { !$0.links.isEmpty && !$0.local.contains(topic.scope) }
            if !isShared { return SharedTopic(.local, version: version) }
            guard let (link, wire) = link(of: topic) else { return SharedTopic(.unnameable, version: version) }
            // A queue is closed when there is another one.
            if let name = link.queue.name(wire) { return SharedTopic(.at(link, name), version: version) }
        }
    }

    /// Sends a publication to the other gateways, once the topic rings.
    ///
    /// - Parameter known: what the caller keeps of the topic, one for each.
    package func publish(
        _ topic: TopicName, _ known: inout SharedTopic?, isText: Bool, isPlain: Bool,
        _ payload: UnsafeRawBufferPointer, at now: UInt64
    ) -> Outcome {
        unsafe publish(topic, &known, Envelope.Flags(isText: isText, isPlain: isPlain), payload, at: now)
    }

    private func publish(
        _ topic: TopicName, _ known: inout SharedTopic?, _ flags: Envelope.Flags, _ payload: UnsafeRawBufferPointer,
        at now: UInt64
    ) -> Outcome {
        while true {
            let there = known?.version == version.load(ordering: .acquiring) ? known : nil
            switch there?.place {
            case .at(let link, let name)?:
                if let outcome = unsafe link.queue.append(name, flags, payload, at: now) {
                    return outcome == .full ? noteLost() : outcome == .high ? .high : .queued
                }
            case .local?: return .off
            case .unnameable?: return noteLost()
            case nil: break
            }
            known = find(topic)
        }
    }

    @inline(never)
    private func noteLost() -> Outcome {
        counters.lost.add(1, ordering: .relaxed)
        return .full
    }

    /// A topic has members here now.
    package func follow(_ topic: TopicName) {
        if let (link, name) = link(of: topic) { link.note(.follow(name)) }
    }

    /// A topic has none any more.
    package func leave(_ topic: TopicName) {
        if let (link, name) = link(of: topic) { link.note(.leave(name)) }
    }

    /// Its route keeps topics to itself from now on.
    private func end(_ topic: TopicName) {
        if let (link, name) = link(of: topic, always: true) { link.note(.end(name)) }
    }
}

/// A link whose thread has not been started.
private final class PreparedLink: Sendable {
    let link: ClusterLink
    private let runner: Mutex<LinkRunner>

    init(_ link: ClusterLink, _ runner: sending LinkRunner) {
        self.link = link
        self.runner = Mutex(runner)
    }

    /// The thread of the link.
    func run() { runner.withLock { $0.run() } }
    func tryEngine() -> String? { runner.withLock { $0.tryEngine() } }
}

/// For whom nothing is delivered.
private final class Nobody: ClusterHost {
    func deliver(
        _ topic: TopicName, _ id: PublicationID, isText: Bool, isPlain: Bool, _ payload: UnsafeRawBufferPointer
    ) -> Bool { true }
    func noteFollowed(_ topic: TopicName) {}
    var keepsTopics: Bool { false }
    func noteGap(_ topic: TopicName?) {}
    func log(_ level: ClusterLogLevel, _ text: String) {}
}
