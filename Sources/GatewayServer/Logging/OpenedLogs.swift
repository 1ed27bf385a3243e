import GatewayConfiguration
import GatewayIO

/// The logs that a configuration asks for, open.
struct OpenedLogs {
    let error: Log.Destination
    let access: AccessLog?

    /// Opens what is not open yet; the files that were stay open.
    init(_ configuration: Configuration) throws(Server.Failure) {
        error = try Self.open("error_log", configuration.errorLog?.destination) { () throws(Errno) in
            try Log.Destination(configuration.errorLog)
        }
        access = try Self.open("access_log", configuration.accessLog?.destination) { () throws(Errno) in
            guard let log = configuration.accessLog else { return nil }
            return try AccessLog(log)
        }
    }

    private static func open<Opened>(
        _ name: String, _ destination: LogDestination?, _ body: () throws(Errno) -> Opened
    ) throws(Server.Failure) -> Opened {
        do throws(Errno) {
            return try body()
        } catch {
            let place = if case .file(let path)? = destination { path } else { "stderr" }
            throw Server.Failure(
                description: "\(name): \(place) cannot be opened: \(error)", isConfiguration: true)
        }
    }

    /// Closes the files that a configuration does not name, once what was logged to them is written.
    static func closeOthers(than configuration: Configuration) {
        LogFiles.keep(
            only: [configuration.errorLog?.destination, configuration.accessLog?.destination].compactMap { $0 })
    }
}
