import GatewayConfiguration
import Glibc

/// Finds the configuration and reads it, and says what is wrong with it.
enum ConfigurationFile {
    /// The file that `-c`, the environment or the known places name; nil after saying that there is none.
    static func find(_ option: String?) -> String? {
        let environment = unsafe getenv("GATEWAY_CONF").map { unsafe String(cString: $0) }
        if let file = ConfigurationSearch.file(option: option, environment: environment) { return file }
        Terminal.complain(
            "error: no configuration was found: not -c FILE, not $GATEWAY_CONF, not "
                + ConfigurationSearch.places.joined(separator: ", not "))
        return nil
    }

    /// The configuration; nil after saying why it cannot be used.
    static func load(_ option: String?) -> Configuration? {
        guard let file = find(option) else { return nil }
        do throws(ConfigurationError) {
            let loaded = try Configuration.load(file: file)
            for warning in loaded.warnings { Terminal.complain(warning.rendered(colour: hasColour)) }
            return loaded.configuration
        } catch {
            complain(error)
            return nil
        }
    }

    /// Says what is wrong.
    static func complain(_ error: ConfigurationError) { Terminal.complain(error.rendered(colour: hasColour)) }

    private static var hasColour: Bool { Terminal.hasColour(STDERR_FILENO) }
}
