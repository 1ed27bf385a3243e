import GatewayConfiguration
import GatewayControl

/// In the process of a handler: asks its instances each second what they know of themselves, for the process that comes after
/// this one should it die. Where the configuration has no checkpoints it asks nobody. It belongs to the control thread.
struct SelfCheckpoints {
    private static let interval: UInt64 = 1_000_000_000

    /// Those that are still to be asked in this round, the next one last.
    private var unasked: [(route: String, instance: RouteInstance)] = []
    private var saving: (route: String, SelfSaving)?
    private var nextRound: UInt64 = 0
    /// What each has said last, so that it is not told again.
    private var told: [String: SavedSelf] = [:]

    /// When it is to be stepped even if nothing happens; nil where nobody is to be asked.
    func nextStep(_ server: Server) -> UInt64? {
        guard Self.asks(server) else { return nil }
        return saving?.1.nextStep ?? nextRound
    }

    /// Whoever hands over has been asked for the last time.
    private static func asks(_ server: Server) -> Bool {
        server.phase == .serving && server.predecessor == nil
            && server.handlerManager.configuration.routes.contains { $0.limits.isolation.checkpoint != .off }
    }

    /// Goes on without waiting.
    ///
    /// - Returns: what an instance knows, if that is something else than the last time.
    mutating func step(_ server: Server, _ now: UInt64) -> SuccessionMessage.InstanceState? {
        guard Self.asks(server) else { return nil }
        if let (route, saving) = saving {
            guard saving.step(now) else { return nil }
            self.saving = nil
            if let saved = saving.saved, told[route] != saved {
                told[route] = saved
                let handler = server.handlerManager.handlers.keys.first ?? ""
                return .init(handler: handler, route: route, state: saved)
            }
        }
        if unasked.isEmpty, now >= nextRound {
            nextRound = now &+ Self.interval
            unasked = server.handlerManager.handlers.values.compactMap(\.serving).flatMap { serving in
                serving.instances.map { ($0.key, $0.value) }
            }
        }
        guard let next = unasked.popLast() else { return nil }
        saving = (
            next.route,
            SelfSaving(of: next.instance, isTaken: true, isCheckpoint: true, server.handlerManager)
        )
        return nil
    }
}
