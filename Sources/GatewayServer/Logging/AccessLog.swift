import GatewayConfiguration
import GatewayIO

/// The access log as workers write to it.
struct AccessLog: Sendable {
    private let writer: LogWriter
    private let form: LogForm

    /// Opens it.
    init(_ configuration: AccessLogConfiguration) throws(Errno) {
        form = configuration.form
        writer = try LogFiles.writer(for: configuration.destination, form)
    }

    func write(_ record: AccessRecord) { writer.append(record.text(form, at: LogTime.now())) }
}
