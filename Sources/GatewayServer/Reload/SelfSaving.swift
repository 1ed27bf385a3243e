import Bytes
import CGatewayABI
import CLinux
import GatewayConfiguration
import HandlerModules
import Synchronization

/// What an instance has saved of itself, for the one that takes its place.
struct SavedSelf: Sendable, Equatable {
    var version: UInt32
    var format: UInt64
    /// Whose it was.
    var generation: UInt64
    var bytes: [UInt8]
    /// It was saved for the case that the process of the handler ends, which it has.
    var isCheckpoint = false
}

/// An instance hears that another one will take its place, and saves what it knows. It belongs to the control thread.
final class SelfSaving {
    /// What `save_self` answered, and what it wrote.
    private struct Answer: Sendable {
        let status: gw_status
        let bytes: [UInt8]
    }

    /// The instance was given up on: what it has not begun yet it does not begin.
    private final class GivenUp: Sendable { let isSet = Atomic(false) }

    private let former: RouteInstance
    private let handlerManager: HandlerManager
    private let isCheckpoint: Bool
    private let givenUp = GivenUp()
    private var call: TimedCall<Answer?>?
    /// When it is to be stepped even if the bell does not ring.
    private(set) var nextStep: UInt64 = .max
    /// What it has saved; nil before that, and where it saves nothing.
    private(set) var saved: SavedSelf?

    private var old: Generation { former.instance.generation }

    /// Begins it.
    ///
    /// - Parameter isTaken: whether the other one has a use for what would be saved.
    /// - Parameter isCheckpoint: nobody takes its place; it is for the case that its process dies.
    init(of former: RouteInstance, isTaken: Bool, isCheckpoint: Bool = false, _ handlerManager: HandlerManager) {
        self.former = former
        self.handlerManager = handlerManager
        self.isCheckpoint = isCheckpoint
        begin(isTaken)
    }

    private func begin(_ isTaken: Bool) {
        let hears = unsafe old.callbacks.event != nil && !isCheckpoint
        let saves = unsafe isTaken && old.callbacks.saveSelf != nil
        guard hears || saves else { return }
        let (instanceContext, givenUp) = (former.instanceContext, givenUp)
        nextStep = handlerManager.deadline(milliseconds: former.configuration.limits.startTimeoutMilliseconds)
        do throws(SystemError) {
            call = try former.instance.begin(bell: handlerManager.ring) { instance in
                if hears { instanceContext.tell(UInt32(GW_EV_RELOAD_PENDING)) }
                guard saves, !givenUp.isSet.load(ordering: .relaxed) else { return nil }
                return Self.save(instance)
            }
        } catch {
            complain("there is no thread for it: \(error)")
        }
    }

    private static func save(_ instance: Instance) -> Answer {
        let sink = UnsafeMutablePointer<StateSink>.allocate(capacity: 1)
        unsafe sink.initialize(to: StateSink())
        instance.crashSite.enter(CLINUX_SAVE_SELF)
        let status = unsafe instance.generation.callbacks.saveSelf?(instance.selfPointer, OpaquePointer(sink))
        CrashSite.leave()
        let isWhole = unsafe !sink.pointee.isOverflown
        let bytes = unsafe Array(sink.pointee.bytes.bytes)
        unsafe sink.deinitialize(count: 1)
        unsafe sink.deallocate()
        return Answer(status: isWhole ? status ?? 0 : gw_status(GW_E_LIMIT), bytes: bytes)
    }

    /// Goes on without waiting; false while it is under way.
    func step(_ now: UInt64) -> Bool {
        guard let call else { return true }
        if let answer = call.answer {
            answer.map { take($0) } ?? end()
        } else if now >= nextStep {
            givenUp.isSet.store(true, ordering: .relaxed)
            complain("it was still busy when its time was up")
        }
        return self.call == nil
    }

    private func take(_ answer: Answer) {
        guard answer.status >= 0 else { return complain(StatusName.of(answer.status)) }
        saved = SavedSelf(
            version: old.stateVersion, format: old.stateFormat, generation: old.number, bytes: answer.bytes,
            isCheckpoint: isCheckpoint)
        end()
    }

    private func complain(_ why: String) {
        // A checkpoint that fails would be told of each second.
        handlerManager.log.write(
            isCheckpoint ? .debug : .warn,
            "handler \"\(old.handler)\" on \(former.configuration.name): generation \(old.number) did not save its state"
                + " (\(why))")
        end()
    }

    private func end() { (call, nextStep) = (nil, .max) }
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
