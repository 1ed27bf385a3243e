import HandlerModules

/// Instances are given what those of another process have saved, one after the other. It belongs to the control thread.
struct StatesRestoring {
    private var states: [SuccessionMessage.InstanceState] = []
    private var current: SelfRestoring?

    /// When it is to be stepped even if the bell does not ring.
    var nextStep: UInt64? { current?.nextStep }

    mutating func add(_ state: SuccessionMessage.InstanceState) { states.append(state) }

    /// Goes on without waiting; false while one is under way.
    mutating func step(_ handlerManager: HandlerManager, _ now: UInt64) throws(ModuleError) -> Bool {
        while true {
            if let current {
                guard try current.step(now) else { return false }
                self.current = nil
            }
            guard let next = states.popLast() else { return true }
            let serving = handlerManager.handlers[next.handler]?.serving
            // A route that is not there any more, or is another handler's now, needs nothing.
            guard let instance = serving?.instances[next.route] else { continue }
            current = SelfRestoring(next.state, in: instance, handlerManager)
        }
    }
}
