/// Instances say what they know, one after the other, for those of another program. It belongs to the control thread.
struct StatesSaving {
    /// The next one last.
    private var instances: [(handler: String, route: String, instance: RouteInstance)] = []
    private var current: (handler: String, route: String, SelfSaving)?

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? { current?.2.nextStep }

    mutating func add(_ service: HandlerService) {
        guard let serving = service.serving else { return }
        for (route, instance) in serving.instances { instances.append((service.name, route, instance)) }
    }

    /// Goes on without waiting; false while one is under way.
    mutating func step(
        _ handlerManager: HandlerManager, _ now: UInt64, _ saved: (SuccessionMessage.InstanceState) -> Void
    ) -> Bool {
        while true {
            if let (handler, route, saving) = current {
                guard saving.step(now) else { return false }
                if let state = saving.saved { saved(.init(handler: handler, route: route, state: state)) }
                current = nil
            }
            guard let next = instances.popLast() else { return true }
            current = (next.handler, next.route, SelfSaving(of: next.instance, isTaken: true, handlerManager))
        }
    }
}
