/// How loud a line of the gateway's error log is.
public enum LogLevel: Int32, Sendable, CaseIterable {
    case trace, debug, info, warning, error
}
