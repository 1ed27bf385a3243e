/// Exit statuses, as in sysexits.h where it has one.
enum ExitStatus {
    static let ok: Int32 = 0
    static let failure: Int32 = 1
    static let usage: Int32 = 2
    /// EX_UNAVAILABLE: no gateway answers.
    static let unreachable: Int32 = 69
    /// EX_TEMPFAIL: a reload was refused, and what was there before still serves.
    static let refused: Int32 = 75
    /// EX_CONFIG.
    static let configuration: Int32 = 78

    /// What each of them says, for help and manual.
    static let meanings: [(status: Int32, text: String)] = [
        (ok, "fine"), (failure, "failure"), (usage, "wrong usage"), (unreachable, "no gateway answers"),
        (refused, "reload or upgrade refused (what was there before still serves)"),
        (configuration, "the configuration or every handler in it is wrong"),
    ]
}
