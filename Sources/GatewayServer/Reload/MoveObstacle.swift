import CGatewayABI
import HandlerModules

/// Why connections cannot move from one generation to another.
struct MoveObstacle: CustomStringConvertible, Equatable {
    let description: String

    /// Nil when they can.
    init?(from old: Generation, to new: Generation) {
        switch (old.has(GW_HF_STATELESS), new.has(GW_HF_STATELESS)) {
        case (true, true): return nil
        case (true, false) where unsafe old.callbacks.saveConnection == nil:
            description = "generation \(old.number) has GW_HF_STATELESS, generation \(new.number) has not"
            return
        default: break
        }
        let saves = unsafe old.callbacks.saveConnection != nil
        let restores = unsafe new.callbacks.restoreConnection != nil
        switch (saves, restores) {
        case (true, true) where old.stateFormat == new.stateFormat: return nil
        case (true, true):
            description =
                "state_format 0x\(String(old.stateFormat, radix: 16)) -> 0x\(String(new.stateFormat, radix: 16))"
        case (true, false): description = "no restore_conn in generation \(new.number)"
        case (false, true): description = "no save_conn in generation \(old.number)"
        case (false, false): description = "no GW_HF_STATELESS, and no save_conn and restore_conn"
        }
    }
}
