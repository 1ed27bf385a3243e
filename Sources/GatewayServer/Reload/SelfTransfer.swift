import HandlerModules

/// What an instance knows on its way to the one that takes its place: GW_EV_RELOAD_PENDING and `save_self` of the old
/// one, `restore_self` of the new one, each side on a thread of its own. It belongs to the control thread.
///
/// A refusal is no failure: the new one starts empty. One that does not come back from its `restore_self` is.
final class SelfTransfer {
    private enum Phase {
        case saving(SelfSaving)
        case restoring(SelfRestoring)
        case over
    }

    private let next: RouteInstance
    private let handlerManager: HandlerManager
    private var phase: Phase

    /// Begins it.
    init(from former: RouteInstance, to next: RouteInstance, _ handlerManager: HandlerManager) {
        self.next = next
        self.handlerManager = handlerManager
        let (old, new) = (former.instance.generation, next.instance.generation)
        let isTaken = unsafe new.callbacks.restoreSelf != nil && old.stateFormat == new.stateFormat
        phase = .saving(SelfSaving(of: former, isTaken: isTaken, handlerManager))
    }

    /// When it is to be stepped even if the bell does not ring.
    var nextStep: UInt64 {
        switch phase {
        case .saving(let saving): saving.nextStep
        case .restoring(let restoring): restoring.nextStep
        case .over: .max
        }
    }

    /// Goes on without waiting; false while it is under way.
    func step(_ now: UInt64) throws(ModuleError) -> Bool {
        if case .saving(let saving) = phase, saving.step(now) {
            phase = saving.saved.map { .restoring(SelfRestoring($0, in: next, handlerManager)) } ?? .over
        }
        if case .restoring(let restoring) = phase, try restoring.step(now) { phase = .over }
        if case .over = phase { return true }
        return false
    }
}
