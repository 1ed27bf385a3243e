import CLinux
import GatewayConfiguration
import GatewayServer
import Glibc

/// The command line: finds out what is wanted and answers with an exit status.
enum CommandLineTool {
    /// Exit statuses, as in sysexits.h where it has one.
    enum Status {
        static let ok: Int32 = 0
        static let failure: Int32 = 1
        static let usage: Int32 = 2
        static let configuration: Int32 = 78
    }

    private enum Action {
        case run
        case check
        case printConfiguration
        case version
        case help
    }

    private struct Wish {
        var action = Action.run
        var file: String?
    }

    private struct UsageError: Error {
        let sentence: String
    }

    static func run(_ arguments: [String]) -> Int32 {
        if arguments.first == "bench" { return BenchCommand.run(Array(arguments.dropFirst())) }
        let wish: Wish
        do throws(UsageError) {
            wish = try parse(arguments)
        } catch {
            complain("error: \(error.sentence)\n       `gateway --help` shows how it is used")
            return Status.usage
        }
        switch wish.action {
        case .help: print(Help.text)
        case .version: print("gateway \(GatewayVersion.text)")
        case .run: return serve(wish.file)
        case .check: return check(wish.file)
        case .printConfiguration: return printConfiguration(wish.file)
        }
        return Status.ok
    }

    private static func parse(_ arguments: [String]) throws(UsageError) -> Wish {
        var wish = Wish()
        var rest = arguments[...]
        var isCommandKnown = false
        while let argument = rest.popFirst() {
            switch argument {
            case "-h", "--help", "help": wish.action = .help
            case "-v", "--version": wish.action = .version
            case "-t": wish.action = .check
            case "-T": wish.action = .printConfiguration
            case "-c", "--configuration":
                guard let file = rest.popFirst() else {
                    throw UsageError(sentence: "\(argument) needs the name of a file")
                }
                wish.file = file
            case "run" where !isCommandKnown: isCommandKnown = true
            case "check" where !isCommandKnown:
                isCommandKnown = true
                wish.action = .check
            default: throw UsageError(sentence: "\"\(argument)\" is not known here")
            }
        }
        return wish
    }

    // MARK: Commands

    private static func serve(_ file: String?) -> Int32 {
        guard let configuration = load(file) else { return Status.configuration }
        // Before there is a second thread, which may be a handler's: a signal is for the control thread to read, and
        // any thread that does not block it would let it end the process.
        guard clinux_block_signals() == 0 else {
            complain("error: cannot block signals")
            return Status.failure
        }
        do throws(Server.Failure) {
            try Server(configuration).run()
            return Status.ok
        } catch {
            complain("error: \(error)")
            return error.isConfiguration ? Status.configuration : Status.failure
        }
    }

    private static func check(_ file: String?) -> Int32 {
        guard let configuration = load(file) else { return Status.configuration }
        let troubles = Server.check(configuration)
        for trouble in troubles { complain("error: \(trouble)") }
        guard troubles.isEmpty else {
            complain("\(configuration.file): \(troubles.count) of the handlers cannot serve")
            return Status.configuration
        }
        print("\(configuration.file): fine, \(configuration.routes.count) routes")
        return Status.ok
    }

    private static func printConfiguration(_ file: String?) -> Int32 {
        guard let configuration = load(file) else { return Status.configuration }
        print(configuration.effectiveText(), terminator: "")
        return Status.ok
    }

    /// Reads the configuration and says what is wrong with it; nil when it cannot be used.
    private static func load(_ option: String?) -> Configuration? {
        let environment = unsafe getenv("GATEWAY_CONF").map { unsafe String(cString: $0) }
        guard let file = ConfigurationSearch.file(option: option, environment: environment) else {
            complain(
                "error: no configuration was found: not -c FILE, not $GATEWAY_CONF, not "
                    + ConfigurationSearch.places.joined(separator: ", not "))
            return nil
        }
        let colour = unsafe getenv("NO_COLOR") == nil && isatty(STDERR_FILENO) == 1
        do throws(ConfigurationError) {
            let loaded = try Configuration.load(file: file)
            for warning in loaded.warnings { complain(warning.rendered(colour: colour)) }
            return loaded.configuration
        } catch {
            complain(error.rendered(colour: colour))
            return nil
        }
    }

    private static func complain(_ text: String) { Log.line(text) }
}
