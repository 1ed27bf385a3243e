import Bytes
import CGatewayABI
import CLinux
import GatewayConfiguration
import GatewayIO
import HandlerModules
import Synchronization

/// Calls of the control thread into instances: each has its time, so that no handler can hold the gateway up.
extension Services {
    /// How long `stop` of an instance is waited for before that is said; what it keeps stays then.
    private static let stopNanoseconds: UInt64 = 10_000_000_000
    /// How long the control thread itself waits for one; most take less, and later rounds see to the others.
    private static let stopPatience = Duration.milliseconds(100)

    /// What a call answered, and what it wrote; a call that is given up on may still come to it.
    private final class Answer: Sendable {
        let value = Mutex<(status: gw_status, octets: [UInt8])>((gw_status(GW_E_FAILED), []))

        func take(_ status: gw_status, _ octets: [UInt8] = []) { value.withLock { $0 = (status, octets) } }
    }

    // MARK: State

    /// save_self -> restore_self for every route that both serve. A refusal is no failure: the new one starts empty.
    func handOverSelf(
        _ service: HandlerService, from old: HandlerService.Serving, to new: HandlerService.Serving
    ) throws(ModuleError) {
        for (pattern, post) in new.posts {
            guard let former = old.posts[pattern] else { continue }
            try transferSelf(service, from: former, to: post)
        }
    }

    /// The same for one route; an instance that does not come back from its `restore_self` cannot serve.
    func transferSelf(
        _ service: HandlerService, from former: HandlerService.Post, to next: HandlerService.Post
    ) throws(ModuleError) {
        let (old, new) = (former.instance.generation, next.instance.generation)
        tell(service, former, UInt32(GW_EV_RELOAD_PENDING))
        guard unsafe old.callbacks.saveSelf != nil && new.callbacks.restoreSelf != nil,
            old.stateFormat == new.stateFormat
        else { return }
        guard let octets = save(service, former) else { return }
        let answer = Answer()
        let isBack = run(next) { instance in
            unsafe octets.withUnsafeBytes { state in
                var saved = unsafe gw_saved(
                    struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: old.stateVersion,
                    state_format: old.stateFormat, generation: old.number, data: gw_bytes(state))
                instance.crashSite.enter(CLINUX_RESTORE_SELF)
                let status = unsafe new.callbacks.restoreSelf?(instance.selfPointer, &saved)
                CrashSite.leave()
                answer.take(status ?? gw_status(GW_E_UNSUPPORTED))
            }
        }
        let pattern = next.configuration.pattern
        guard isBack else {
            throw ModuleError(
                handler: service.name, stage: .starting,
                reason: "generation \(new.number) was still busy with its restore_self after"
                    + " \(next.configuration.limits.startTimeoutMilliseconds) ms",
                place: "Route: \(pattern) (\(next.configuration.origin))",
                remedy: "raise start_timeout, or do the work after restore_self has returned")
        }
        let status = answer.value.withLock { $0.status }
        if status < 0 {
            log.warn(
                "handler \"\(service.name)\" on \(pattern): generation \(new.number) did not take the state of"
                    + " generation \(old.number) (\(StatusName.of(status)))")
        }
    }

    /// What an instance saves of itself; nil when it does not.
    private func save(_ service: HandlerService, _ post: HandlerService.Post) -> [UInt8]? {
        let answer = Answer()
        let isBack = run(post) { instance in
            let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
            unsafe sink.initialize(to: StateSink())
            instance.crashSite.enter(CLINUX_SAVE_SELF)
            let status = unsafe instance.generation.callbacks.saveSelf?(instance.selfPointer, OpaquePointer(sink))
            CrashSite.leave()
            let isWhole = unsafe !sink.pointee.isOverflown
            let octets = unsafe Array(sink.pointee.octets.octets)
            unsafe sink.deinitialize(count: 1)
            unsafe sink.deallocate()
            answer.take(isWhole ? status ?? 0 : gw_status(GW_E_LIMIT), octets)
        }
        let (status, octets) = answer.value.withLock { $0 }
        if isBack, status >= 0 { return octets }
        let why = isBack ? StatusName.of(status) : "it was still busy when its time was up"
        log.warn("handler \"\(service.name)\" on \(post.configuration.pattern): did not save its state (\(why))")
        return nil
    }

    // MARK: Events

    /// An event on [home] of an instance; the control thread is home for these.
    func tell(_ service: HandlerService, _ post: HandlerService.Post, _ kind: UInt32) {
        guard unsafe post.instance.generation.callbacks.event != nil else { return }
        let record = post.record
        let isBack = run(post) { _ in
            var event = unsafe gw_event()
            unsafe event.struct_size = UInt32(MemoryLayout<gw_event>.size)
            unsafe event.kind = kind
            unsafe record.call(&event)
        }
        if !isBack {
            log.warn("handler \"\(service.name)\" on \(post.configuration.pattern): still busy with an event")
        }
    }

    /// Runs a call on a thread of its own, at most as long as its route lets a start take.
    private func run(_ post: HandlerService.Post, _ body: @escaping @Sendable (Instance) -> Void) -> Bool {
        do throws(SystemError) {
            return try post.instance.call(
                .milliseconds(post.configuration.limits.startTimeoutMilliseconds), body)
        } catch {
            log.warn("no thread for a call into a handler: \(error)")
            return false
        }
    }

    // MARK: Stopping

    /// Stops the instances of a generation, or some of them, after their last callback.
    ///
    /// - Returns: false while one is busy with it: ask again. One that stays so is left alone after a while.
    func stop(_ serving: HandlerService.Serving, _ service: HandlerService) -> Bool {
        let now = Clock.monotonicNanoseconds()
        if serving.stopBegan == nil {
            serving.stopBegan = now
            for post in serving.posts.values { close(post.record) }
        }
        // The header: stop() waits for work().
        for post in serving.posts.values where post.instance.phase == .running && !post.record.hasJobs {
            stop(post.record, service, patience: Self.stopPatience)
        }
        let isBusy = serving.posts.values.contains { $0.instance.phase == .stopping || $0.record.hasJobs }
        if isBusy {
            guard now &- (serving.stopBegan ?? now) > Self.stopNanoseconds else { return false }
            if !serving.saidBusy {
                serving.saidBusy = true
                log.warn(
                    "handler \"\(service.name)\" generation \(serving.generation.number): still busy with its stop after"
                        + " 10 s; it is left alone")
            }
        }
        // The host table belongs to the whole generation.
        if !serving.isPart { serving.context.isRetired.store(true, ordering: .releasing) }
        return true
    }

    /// Begins to stop an instance and waits for it for a moment.
    func stop(_ record: InstanceRecord, _ service: HandlerService, patience: Duration) {
        close(record)
        do throws(SystemError) {
            _ = try record.instance.stop(timeout: patience) { record.waitForCalls() }
        } catch {
            log.warn("handler \"\(service.name)\": could not be stopped: \(error)")
        }
    }

    /// At the very end: waits for each instance as long as one may take.
    func stopForGood(_ serving: HandlerService.Serving, _ service: HandlerService) {
        let most = Duration.nanoseconds(Int64(Self.stopNanoseconds))
        for post in serving.posts.values {
            close(post.record)
            if !waitForJobs(post.record) {
                log.warn("handler \"\(service.name)\": its work is not done after 10 s; it is left alone")
                continue
            }
            // Whatever is called next waits for what runs now.
            if post.instance.phase == .stopping, (try? post.instance.call(most) { _ in }) != nil { continue }
            stop(post.record, service, patience: most)
        }
        serving.stopBegan = serving.stopBegan ?? Clock.monotonicNanoseconds()
        _ = stop(serving, service)
    }
}
