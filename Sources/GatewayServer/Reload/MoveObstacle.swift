import HandlerModules

/// Why connections cannot move from one generation to another.
struct MoveObstacle: CustomStringConvertible, Equatable {
    let description: String

    /// Nil when they can.
    init?(from old: Generation, to new: Generation) {
        self.init(from: HandoverFacts(old), to: HandoverFacts(new))
    }

    /// The same where they are generations of two processes.
    init?(from old: HandoverFacts, to new: HandoverFacts) {
        switch (old.isStateless, new.isStateless) {
        case (true, true): return nil
        case (true, false) where !old.saves:
            description =
                "generation \(old.generation) has GW_HF_STATELESS, generation \(new.generation) has not"
            return
        default: break
        }
        switch (old.saves, new.restores) {
        case (true, true) where old.stateFormat == new.stateFormat: return nil
        case (true, true):
            description =
                "state_format 0x\(String(old.stateFormat, radix: 16)) -> 0x\(String(new.stateFormat, radix: 16))"
        case (true, false): description = "no restore_conn in generation \(new.generation)"
        case (false, true): description = "no save_conn in generation \(old.generation)"
        case (false, false): description = "no GW_HF_STATELESS, and no save_conn and restore_conn"
        }
    }
}
