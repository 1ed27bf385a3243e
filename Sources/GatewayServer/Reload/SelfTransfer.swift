import Bytes
import CGatewayABI
import CLinux
import GatewayConfiguration
import HandlerModules
import Synchronization

/// What an instance knows on its way to the one that takes its place: GW_EV_RELOAD_PENDING and `save_self` of the old
/// one, `restore_self` of the new one, each side on a thread of its own. It belongs to the control thread.
///
/// A refusal is no failure: the new one starts empty. One that does not come back from its `restore_self` is.
final class SelfTransfer {
    /// What `save_self` answered, and what it wrote.
    private struct Saved: Sendable {
        let status: gw_status
        let bytes: [UInt8]
    }

    private enum Phase {
        case saving(TimedCall<Saved?>)
        case restoring(TimedCall<gw_status>)
        case over
    }

    private let former: RouteInstance
    private let next: RouteInstance
    private let handlerManager: HandlerManager
    private var phase = Phase.over
    private var deadline: UInt64 = .max
    /// The old one was given up on: what it has not begun yet it does not begin.
    private final class GivenUp: Sendable { let isSet = Atomic(false) }
    private let givenUp = GivenUp()

    private var old: Generation { former.instance.generation }
    private var new: Generation { next.instance.generation }
    private var subject: String { "handler \"\(new.handler)\" on \(next.configuration.name)" }

    /// Begins it.
    init(from former: RouteInstance, to next: RouteInstance, _ handlerManager: HandlerManager) {
        self.former = former
        self.next = next
        self.handlerManager = handlerManager
        beginSaving()
    }

    /// When it is to be stepped even if the bell does not ring.
    var nextStep: UInt64 { deadline }

    /// Goes on without waiting; false while it is under way.
    func step(_ now: UInt64) throws(ModuleError) -> Bool {
        switch phase {
        case .saving(let call):
            if let saved = call.answer {
                saved.map { take($0) } ?? end()
            } else if now >= deadline {
                givenUp.isSet.store(true, ordering: .relaxed)
                complainOfSaving("it was still busy when its time was up")
            }
        case .restoring(let call):
            if let status = call.answer {
                judge(status)
            } else if now >= deadline {
                end()
                throw isBusy
            }
        case .over: break
        }
        if case .over = phase { return true }
        return false
    }

    private func end() {
        phase = .over
        deadline = .max
    }

    private func setDeadline(_ served: RouteInstance) {
        deadline = handlerManager.deadline(milliseconds: served.configuration.limits.startTimeoutMilliseconds)
    }

    // MARK: Saving

    private func beginSaving() {
        let hears = unsafe old.callbacks.event != nil
        let saves =
            unsafe old.callbacks.saveSelf != nil && new.callbacks.restoreSelf != nil
            && old.stateFormat == new.stateFormat
        guard hears || saves else { return }
        let (instanceContext, givenUp) = (former.instanceContext, givenUp)
        setDeadline(former)
        do throws(SystemError) {
            phase = .saving(
                try former.instance.begin(bell: handlerManager.ring) { instance in
                    instanceContext.tell(UInt32(GW_EV_RELOAD_PENDING))
                    guard saves, !givenUp.isSet.load(ordering: .relaxed) else { return nil }
                    return Self.save(instance)
                })
        } catch {
            complainOfSaving("there is no thread for it: \(error)")
        }
    }

    private static func save(_ instance: Instance) -> Saved {
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        instance.crashSite.enter(CLINUX_SAVE_SELF)
        let status = unsafe instance.generation.callbacks.saveSelf?(instance.selfPointer, OpaquePointer(sink))
        CrashSite.leave()
        let isWhole = unsafe !sink.pointee.isOverflown
        let bytes = unsafe Array(sink.pointee.bytes.bytes)
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
        return Saved(status: isWhole ? status ?? 0 : gw_status(GW_E_LIMIT), bytes: bytes)
    }

    private func complainOfSaving(_ why: String) {
        handlerManager.log.warn("\(subject): generation \(old.number) did not save its state (\(why))")
        end()
    }

    // MARK: Restoring

    private func take(_ saved: Saved) {
        guard saved.status >= 0 else { return complainOfSaving(StatusName.of(saved.status)) }
        let (old, new, bytes) = (old, new, saved.bytes)
        setDeadline(next)
        do throws(SystemError) {
            phase = .restoring(
                try next.instance.begin(bell: handlerManager.ring) { instance in
                    unsafe bytes.withUnsafeBytes { state in
                        var saved = unsafe gw_saved(
                            struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: old.stateVersion,
                            state_format: old.stateFormat, generation: old.number, data: gw_bytes(state))
                        instance.crashSite.enter(CLINUX_RESTORE_SELF)
                        defer { CrashSite.leave() }
                        return unsafe new.callbacks.restoreSelf?(instance.selfPointer, &saved)
                            ?? gw_status(GW_E_UNSUPPORTED)
                    }
                })
        } catch {
            handlerManager.log.warn("\(subject): no thread for its restore_self: \(error)")
            end()
        }
    }

    private func judge(_ status: gw_status) {
        end()
        guard status < 0 else { return }
        handlerManager.log.warn(
            "\(subject): generation \(new.number) did not take the state of generation \(old.number)"
                + " (\(StatusName.of(status)))")
    }

    private var isBusy: ModuleError {
        let configuration = next.configuration
        return ModuleError(
            handler: new.handler, stage: .starting,
            reason: "generation \(new.number) was still busy with its restore_self after"
                + " \(configuration.limits.startTimeoutMilliseconds) ms",
            place: "Route: \(configuration.name) (\(configuration.origin))",
            remedy: "raise start_timeout, or do the work after restore_self has returned")
    }
}

extension InstanceContext {
    /// An event of the control thread's on [home], which it is home for; on a thread of the call's own.
    func tell(_ kind: UInt32) {
        var event = unsafe gw_event()
        unsafe event.struct_size = UInt32(MemoryLayout<gw_event>.size)
        unsafe event.kind = kind
        unsafe call(&event)
    }
}
