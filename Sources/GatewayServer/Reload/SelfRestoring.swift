import CGatewayABI
import CLinux
import GatewayConfiguration
import HandlerModules

/// An instance is given what the one before it has saved. It belongs to the control thread.
final class SelfRestoring {
    private let saved: SavedSelf
    private let next: RouteInstance
    private let handlerManager: HandlerManager
    private var call: TimedCall<gw_status>?
    /// When it is to be stepped even if the bell does not ring.
    private(set) var nextStep: UInt64 = .max

    private var new: Generation { next.instance.generation }
    private var subject: String { "handler \"\(new.handler)\" on \(next.configuration.name)" }

    /// Begins it.
    init(_ saved: SavedSelf, in next: RouteInstance, _ handlerManager: HandlerManager) {
        self.saved = saved
        self.next = next
        self.handlerManager = handlerManager
        guard unsafe new.callbacks.restoreSelf != nil, new.stateFormat == saved.format else { return }
        nextStep = handlerManager.deadline(milliseconds: next.configuration.limits.startTimeoutMilliseconds)
        begin()
    }

    private func begin() {
        let (saved, new) = (saved, new)
        do throws(SystemError) {
            call = try next.instance.begin(bell: handlerManager.ring) { instance in
                unsafe saved.bytes.withUnsafeBytes { state in
                    var view = unsafe gw_saved(
                        struct_size: UInt32(MemoryLayout<gw_saved>.size), state_version: saved.version,
                        state_format: saved.format, generation: saved.generation, data: gw_bytes(state),
                        flags: saved.isCheckpoint ? UInt32(GW_SAVED_CHECKPOINT) : 0, reserved0: 0)
                    instance.crashSite.enter(CLINUX_RESTORE_SELF)
                    defer { CrashSite.leave() }
                    return unsafe new.callbacks.restoreSelf?(instance.selfPointer, &view)
                        ?? gw_status(GW_E_UNSUPPORTED)
                }
            }
        } catch {
            handlerManager.log.warn("\(subject): no thread for its restore_self: \(error)")
            nextStep = .max
        }
    }

    /// Goes on without waiting; false while it is under way.
    func step(_ now: UInt64) throws(ModuleError) -> Bool {
        guard let call else { return true }
        if let status = call.answer {
            judge(status)
        } else if now >= nextStep {
            end()
            throw isBusy
        }
        return self.call == nil
    }

    private func judge(_ status: gw_status) {
        end()
        guard status < 0 else { return }
        handlerManager.log.warn(
            "\(subject): generation \(new.number) did not take the state of generation \(saved.generation)"
                + " (\(StatusName.of(status)))")
    }

    private func end() { (call, nextStep) = (nil, .max) }

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
