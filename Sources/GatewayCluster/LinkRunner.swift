import GatewayIO
import Synchronization

/// What the thread of a link does, from its start to its end. All of it is that thread's own.
///
///     away ─ connect ─▶ confirming ─ the probe has come back ─▶ up
///      ▲                    │                                    │
///      └──── backoff ───────┴──── the connection has ended, or two probes are missing
final class LinkRunner {
    private enum State: Equatable {
        /// Nobody is asked before then.
        case away(until: UInt64)
        case confirming
        case up
    }

    private let link: ClusterLink
    private let engine: Engine
    private let settings: ClusterSettings
    private let poller: Poller
    private var state = State.away(until: 0)
    private var attempt: UInt64 = 0
    private var failures = 0
    private var hasBeenUp = false
    /// What is subscribed to, or will be.
    private var followed: Set<[UInt8]> = []
    /// Those whose last member has left, and when they are let go of.
    private var leaving: [[UInt8]: UInt64] = [:]
    private var lastProbe: UInt64 = 0
    private var probeSent: UInt64 = 0
    private var missedProbes = 0
    /// Passed when a probe has come back.
    private var awaited: [(probe: UInt64, fence: LinkFence)] = []

    private static let shortestPause: UInt64 = 100_000_000
    private static let longestPause: UInt64 = 10_000_000_000
    /// Members come back.
    private static let linger: UInt64 = 5_000_000_000
    private static let batchesPerTurn = 16
    /// How long what waits may take when the gateway ends.
    static let lastWords: UInt64 = 2_000_000_000
    /// How many topics are named when an engine was away.
    private static let mostNamed = LinkQueue.mostNamed

    init(_ link: ClusterLink, _ engine: Engine, _ settings: ClusterSettings) throws(Errno) {
        (self.link, self.engine, self.settings) = (link, engine, settings)
        poller = try Poller()
        try poller.add(link.bell, token: 0, interest: .readable)
    }

    private var probeInterval: UInt64 { UInt64(settings.probe) * 1_000_000 }
    private func now() -> UInt64 { Clock.monotonicNanoseconds() }

    /// - Returns: why the engine cannot be used; nil when it can.
    func tryEngine() -> String? {
        attempt = 1
        if !engine.connect(attempt) { return engine.text }
        state = .confirming
        guard subscribe([link.probeName]) else { return giveUp("the subscriptions were not taken") }
        probe()
        while state == .confirming, !hasProbeReturned {
            if let why = link.takeLost(of: attempt) { return giveUp(why) }
            if now() >= probeSent + probeInterval {
                return giveUp("a message through it did not come back within \(settings.probe) ms")
            }
            wait()
        }
        if state != .confirming { return link.state.text }
        engine.disconnect()
        return nil
    }

    private func giveUp(_ why: String) -> String {
        fall(why)
        return link.state.text
    }

    func run() {
        while !link.isStopping.load(ordering: .acquiring) {
            step()
            if link.isStopping.load(ordering: .acquiring) { break }
            wait()
        }
        // What was promised goes out, if that is possible at once.
        let end = now() + Self.lastWords
        while state == .up, !link.queue.isEmpty, now() < end { send() }
        passFences(upTo: .max)
        if case .away = state { return }
        engine.disconnect()
    }

    private func step() {
        if let why = link.takeLost(of: attempt), !isAway { fall(why) }
        followChanges()
        letGo()
        passFences(upTo: isAway ? .max : link.heardProbe.load(ordering: .acquiring))
        switch state {
        case .away(let until):
            noteExpired()
            if now() >= until { connect() }
        case .confirming: confirm()
        case .up:
            send()
            if state == .up { probeWhenDue() }
        }
    }

    private var isAway: Bool { if case .away = state { true } else { false } }

    private func wait() {
        let pause: Int32
        link.queue.noteWaiting()
        if state == .up, !link.queue.isEmpty, !isHeldBack {
            pause = 0
        } else {
            let now = now()
            let due = deadline
            pause = due <= now ? 0 : Int32(clamping: (due - now) / 1_000_000 + 1)
        }
        do throws(Errno) {
            if try poller.wait(milliseconds: pause) > 0 { link.answerBell() }
        } catch {
            fatalError("cluster: epoll_wait: \(error)")
        }
    }

    private var deadline: UInt64 {
        var due: UInt64
        switch state {
        case .away(let until): due = min(until, (link.queue.oldest ?? .max - LinkQueue.mostAge) + LinkQueue.mostAge)
        case .confirming, .up: due = probeSent + probeInterval
        }
        if let first = leaving.values.min() { due = min(due, first) }
        return due
    }

    // MARK: Being away

    private func connect() {
        attempt += 1
        let isConnected = engine.connect(attempt)
        if !isConnected { return backOff(engine.text) }
        state = .confirming
        link.update { $0.connects += 1 }
        // The probe's name comes last: when one comes back, all others are in force.
        let names = [TopicName.losses(prefix: Array(settings.prefix.utf8))] + followed + [link.probeName]
        guard subscribe(names) else { return fall("the subscriptions were not taken") }
        missedProbes = 0
        probe()
    }

    private func subscribe(_ names: [[UInt8]]) -> Bool {
        var rest = names[...]
        while !rest.isEmpty {
            if !engine.subscribe(rest.prefix(Engine.batch)) { return false }
            rest = rest.dropFirst(Engine.batch)
        }
        return true
    }

    /// The connection is of no use any more.
    private func fall(_ what: String) {
        let why = link.takeLost(of: attempt) ?? (engine.isRefused ? "\(what): the user has no right to it" : what)
        engine.disconnect()
        link.inbox.forgetParts()
        backOff(why)
    }

    private func backOff(_ why: String) {
        let wasUp = state == .up
        failures += 1
        let pause = min(Self.longestPause, Self.shortestPause << UInt64(min(failures - 1, 10)))
        // Gateways that lost an engine together do not come back together.
        state = .away(until: now() + UInt64.random(in: pause / 2...pause))
        let isNews = link.state.text != why
        link.update { report in
            if report.isUp || report.connects == 0 && failures == 1 { report.since = now() }
            (report.isUp, report.text) = (false, why)
        }
        if wasUp || isNews {
            link.host.log(
                wasUp || failures > 1 ? .error : .warning,
                "cluster \(link.url): \(wasUp ? "lost" : "not reached"): \(why). Members here are served, others hear nothing; "
                    + "it is tried again")
        }
    }

    /// What has waited for too long is given up.
    private func noteExpired() {
        let now = now()
        if now < LinkQueue.mostAge { return }
        let count = link.queue.expire(before: now - LinkQueue.mostAge)
        if count > 0 { link.counters.lost.add(UInt64(count), ordering: .relaxed) }
    }

    // MARK: Subscriptions

    private func followChanges() {
        var new: [[UInt8]] = []
        var fences: [LinkFence] = []
        var flushes: [LinkFence] = []
        for change in link.takeChanges() {
            switch change {
            case .follow(let name): if follow(name) { new.append(name) }
            case .share(let name, let fence):
                guard follow(name) else { break }
                new.append(name)
                fences.append(fence)
            case .leave(let name): if followed.contains(name) { leaving[name] = now() + Self.linger }
            case .end(let name):
                link.inbox.forget(name)
                if followed.contains(name) { leaving[name] = now() }
            case .confirm(let fence): fences.append(fence)
            case .flush(let fence): flushes.append(fence)
            }
        }
        if !new.isEmpty, !isAway, !subscribe(new) { fall("the subscriptions were not taken") }
        if !fences.isEmpty { confirmSubscriptions(fences) }
        if !flushes.isEmpty { flush(flushes) }
        link.update { $0.subscriptions = followed.count }
    }

    /// - Returns: whether it is to be subscribed to.
    private func follow(_ name: [UInt8]) -> Bool {
        leaving[name] = nil
        link.inbox.follow(name)
        return followed.insert(name).inserted
    }

    /// The name that was subscribed to last tells of all before it.
    private func confirmSubscriptions(_ fences: [LinkFence]) {
        if !isAway {
            let name = [link.probeName]
            if engine.unsubscribe(name[...]), subscribe(name) {
                probe()
            } else {
                fall("the subscriptions were not taken")
            }
        }
        awaited += fences.map { (lastProbe, $0) }
    }

    /// A probe comes back behind everything that was sent before it.
    private func flush(_ fences: [LinkFence]) {
        let end = link.queue.appended
        while state == .up, link.queue.left < end, !isHeldBack { send() }
        if state == .up { probe() }
        awaited += fences.map { (lastProbe, $0) }
    }

    private var isHeldBack: Bool { link.inbox.twin.isBehind.load(ordering: .acquiring) }

    private func passFences(upTo probe: UInt64) {
        for each in awaited where each.probe <= probe { each.fence.pass() }
        awaited.removeAll { $0.probe <= probe }
    }

    private func letGo() {
        if leaving.isEmpty { return }
        let now = now()
        let over = leaving.filter { $0.value <= now }.map(\.key)
        if over.isEmpty { return }
        if link.host.keepsTopics {
            for name in over { leaving[name] = now + Self.linger }
            return
        }
        for name in over {
            leaving[name] = nil
            followed.remove(name)
            link.inbox.forget(name)
        }
        link.update { $0.subscriptions = followed.count }
        if isAway { return }
        var rest = over[...]
        while !rest.isEmpty {
            if !engine.unsubscribe(rest.prefix(Engine.batch)) { return fall("the end of subscriptions was not taken") }
            rest = rest.dropFirst(Engine.batch)
        }
    }

    // MARK: Probes

    private func probe() {
        lastProbe += 1
        probeSent = now()
        let head = Envelope(
            kind: .probe, flags: [], origin: link.queue.origin, number: lastProbe, sent: ClusterInbox.wallMicroseconds()
        )
        let data = unsafe [UInt8]().withUnsafeBytes { unsafe head.bytes($0) }
        if engine.publish([(link.probeName, data)]) != .all { fall("it takes no publications") }
    }

    private var hasProbeReturned: Bool { link.heardProbe.load(ordering: .acquiring) >= lastProbe }

    private func confirm() {
        if hasProbeReturned {
            rise()
            return send()
        }
        if now() >= probeSent + probeInterval { fall("a probe did not come back within \(settings.probe) ms") }
    }

    private func probeWhenDue() {
        if hasProbeReturned {
            missedProbes = 0
            noteProbeTime()
        }
        guard now() >= probeSent + probeInterval else { return }
        if !hasProbeReturned {
            missedProbes += 1
            if missedProbes == 2 { return fall("two probes did not come back") }
        }
        probe()
    }

    private func noteProbeTime() {
        if probeSent == 0 { return }
        let passed = (now() - probeSent) / 1000
        link.update { if $0.probeMicroseconds == 0 || passed < $0.probeMicroseconds { $0.probeMicroseconds = passed } }
    }

    /// All subscriptions are in force.
    private func rise() {
        let wasAway = now() - link.state.since
        state = .up
        failures = 0
        let text = engine.text
        link.update { report in (report.isUp, report.since, report.text) = (true, now(), text) }
        noteProbeTime()
        let seconds = Double(wasAway / 10_000_000) / 100
        link.host.log(
            .info,
            "cluster \(link.url): \(text), \(followed.count) topic\(followed.count == 1 ? "" : "s")"
                + (hasBeenUp ? ", after \(seconds) s away" : ""))
        hasBeenUp = true
        noteGaps()
    }

    /// Members that were here meanwhile may have missed something.
    private func noteGaps() {
        if followed.isEmpty { return }
        let prefix = Array(settings.prefix.utf8)
        if followed.count > Self.mostNamed { return link.inbox.noteGap(nil) }
        for name in followed { TopicName(wire: name, prefix: prefix).map { link.inbox.noteGap($0) } }
    }

    // MARK: Sending

    /// Some of what waits: probes and subscriptions have their turn between.
    private func send() {
        for _ in 0..<Self.batchesPerTurn {
            let lent = link.queue.lend()
            if lent.isEmpty { break }
            // Asked with the first one at hand: it may be of somebody who has just come.
            if isHeldBack { return link.queue.giveBack(lent, behind: 0) }
            if !send(lent) { return }
        }
        sendLosses()
    }

    /// - Returns: false when the connection is lost.
    private func send(_ lent: [PublicationRun]) -> Bool {
        var (done, sent) = (0, 0)
        let count = lent.reduce(0) { $0 + $1.count }
        while done < count {
            let batch = OutgoingBatch(lent, from: done, room: engine.mostData, origin: link.queue.origin)
            switch unsafe engine.publish(batch.publications) {
            case .all:
                done += batch.count
                sent += batch.count
            case .failed(let taken):
                // Of the first that failed nobody knows: twice is no harm, it has a number.
                link.queue.giveBack(lent, behind: done + batch.whole(upTo: taken))
                fall("it takes no publications")
                return false
            case .tooLarge(let taken):
                let whole = batch.whole(upTo: taken)
                let (entry, name) = batch.entry(whole)
                link.queue.noteLoss(of: entry, to: name)
                link.counters.lost.add(1, ordering: .relaxed)
                sent += whole
                done += whole + 1
            }
        }
        link.queue.giveBack(lent, behind: count)
        link.counters.sent.add(UInt64(sent), ordering: .relaxed)
        return true
    }

    /// Tells the other gateways which topics have lost something here.
    private func sendLosses() {
        let sent = ClusterInbox.wallMicroseconds()
        let (notices, others) = link.queue.takeLosses(sent: sent)
        if notices.isEmpty, !others { return }
        func data(_ head: Envelope) -> [UInt8] { unsafe [UInt8]().withUnsafeBytes { unsafe head.bytes($0) } }
        var batch = notices.map { (name: $0.name, data: data($0.head)) }
        if others {
            let head = Envelope(kind: .loss, flags: [], origin: link.queue.origin, number: 1, sent: sent)
            batch.append((TopicName.losses(prefix: Array(settings.prefix.utf8)), data(head)))
        }
        let which = others ? "many topics" : notices.count == 1 ? "a topic" : "\(notices.count) topics"
        link.host.log(.warning, "cluster \(link.url): publications to \(which) were lost here")
        if engine.publish(batch) != .all { fall("it takes no publications") }
    }
}
