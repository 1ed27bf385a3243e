import GatewayConfiguration
import HandlerModules
import Synchronization

/// The handlers that run in processes of their own, all together.
extension HandlerManager {
    func stepIsolated(_ now: UInt64) {
        for each in isolated { each.step(now) }
        isolated.removeAll { $0.isOver }
        let hasNeighbours = !isolated.isEmpty && configuration.cluster == nil
        guard given == nil, hasNeighbours != server.neighbours.isOn.load(ordering: .relaxed) else {
            return passOn()
        }
        if hasNeighbours { server.neighbours.begin(loop.bell) } else { server.neighbours.end() }
    }

    /// The process of a handler that the program before has; nil where there is none.
    func distant(_ handler: String) -> IsolatedHandler? { isolated.first { $0.isDistant && $0.handler == handler } }

    /// What has been published here.
    private func passOn() {
        guard given == nil, !isolated.isEmpty else { return }
        for publication in server.neighbours.take() {
            for each in isolated { each.hear(publication) }
        }
    }

    /// What has been published in a process goes to all others.
    func pass(on publication: SuccessionMail.Publication, from process: IsolatedHandler) {
        server.deliver(fromNeighbour: publication)
        for each in isolated where each.handler != process.handler { each.hear(publication) }
        loop.bell.ring()
    }

    /// The process of a handler has died, perhaps with something that it was to give to the others; the one that takes its
    /// place knows.
    func tellGap(besides process: IsolatedHandler) {
        server.gaps.tell(nil)
        for each in isolated where each.handler != process.handler { each.process?.send(.gap) }
        loop.bell.ring()
    }

    /// The gateway is about to end: processes of handlers tell their peers.
    func stopProcesses() { for each in isolated { each.stop() } }

    /// All of them have gone, with what they had to write and to save, or had the time for it.
    var haveProcessesEnded: Bool { isolated.allSatisfy { $0.process == nil } || server.clock() >= processesEndBy }

    /// The gateway drains: peers are told to go, within so many milliseconds.
    func sendProcessesAway(within milliseconds: Int64) {
        for each in isolated { each.process?.send(.depart(milliseconds: UInt64(clamping: milliseconds))) }
        loop.bell.ring()
    }

    /// Files of logs may be others now.
    func reopenLogs() {
        for each in isolated { each.process?.send(.reopenLogs) }
        loop.bell.ring()
    }

    /// The process of a generation cannot be kept alive: the one before serves again, if there is one.
    func giveUp(_ isolated: IsolatedHandler, _ why: String) {
        guard let service = handlers.values.first(where: { $0.serving?.isolated === isolated }), !isEnding else {
            return isolated.giveUp(IsolationFailure(code: 1012, reason: "the handler's process has ended"))
        }
        if service.history.newest != nil {
            _ = rollback(service, cause: why)
            return loop.bell.ring()
        }
        service.trouble = why
        isolated.giveUp(IsolationFailure(code: 1011, reason: "the handler crashed too often"))
    }

    /// The process of a generation has become too large, or too old: another one of the same build takes its place.
    func recycle(_ isolated: IsolatedHandler, _ why: String) {
        guard let service = handlers.values.first(where: { $0.serving?.isolated === isolated }), !isEnding,
            service.reloads.isEmpty
        else { return }
        restart(service, cause: why)
        loop.bell.ring()
    }
}
