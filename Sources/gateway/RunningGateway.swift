import GatewayConfiguration
import GatewayControl
import GatewayServer

/// Asks the gateway that serves the configuration, over its control socket.
enum RunningGateway {
    /// Sends a command, shows the answer, and passes its exit status on.
    ///
    /// - Parameter seconds: how long the gateway may be silent; nil = for ever.
    static func ask(_ command: ControlCommand, _ arguments: Arguments, seconds: Int?) -> Int32 {
        reach(arguments) { path throws(ControlClient.Failure) in
            show(try ControlClient.ask(command, at: path, seconds: seconds), of: command)
        }
    }

    /// Sends a command and shows what comes as it comes, until the gateway or whoever looks at it ends it.
    static func follow(_ command: ControlCommand, _ arguments: Arguments) -> Int32 {
        reach(arguments) { path throws(ControlClient.Failure) in
            var isRefused = false
            let exit = try ControlClient.follow(command, at: path) { lines in
                let (data, complaint) = isRefused ? ("", lines) : divide(lines)
                isRefused = !complaint.isEmpty
                if !data.isEmpty, !Terminal.showAtOnce(data) { return false }
                if !complaint.isEmpty { Terminal.complain(complaint) }
                return true
            }
            return exit ?? ExitStatus.ok
        }
    }

    /// What is refused is no data, and comes last, perhaps together with what went before.
    private static func divide(_ lines: String) -> (data: String, complaint: String) {
        let mark = "error: "
        if lines.hasPrefix(mark) { return ("", lines) }
        guard let range = lines.firstRange(of: "\n" + mark) else { return (lines, "") }
        let start = lines.index(after: range.lowerBound)
        return (String(lines[..<start]), String(lines[start...]))
    }

    /// Finds the control socket by the configuration and does something there.
    private static func reach(
        _ arguments: Arguments, _ body: (_ path: String) throws(ControlClient.Failure) -> Int32
    ) -> Int32 {
        let place: Place
        do throws(NoPlace) {
            place = try Place(arguments)
        } catch {
            return error.status
        }
        do throws(ControlClient.Failure) {
            return try body(place.path)
        } catch {
            return complain(error, at: place)
        }
    }

    /// It was said why there is no control socket to ask.
    struct NoPlace: Error {
        let status: Int32
    }

    /// A control socket, and the configuration that names it.
    struct Place {
        let path: String
        let file: String

        /// That of the configuration of a command line.
        init(_ arguments: Arguments) throws(NoPlace) {
            guard let file = ConfigurationFile.find(arguments.file) else {
                throw NoPlace(status: ExitStatus.configuration)
            }
            let named: String?
            do throws(ConfigurationError) {
                named = try Configuration.controlPath(ofFile: file)
            } catch {
                ConfigurationFile.complain(error)
                throw NoPlace(status: ExitStatus.configuration)
            }
            guard let named else {
                Terminal.complain(
                    "error: there is no control socket: \(file) has it off\n"
                        + "   Add a line such as `control unix:./.gateway.sock;`, and start the gateway again.")
                throw NoPlace(status: ExitStatus.unreachable)
            }
            (self.path, self.file) = (named, file)
        }
    }

    private static func show(_ answer: ControlAnswer, of command: ControlCommand) -> Int32 {
        // A status that is not good, and what a refused reload says of each handler, are what was asked for; other
        // failures are diagnostics.
        if command.isQuestion || answer.exit == ExitStatus.ok || answer.exit == ExitStatus.refused {
            Terminal.show(answer.text)
        } else {
            Terminal.complain(answer.text)
        }
        return answer.exit
    }

    /// Says why there is no answer.
    static func complain(_ failure: ControlClient.Failure, at place: Place) -> Int32 {
        let (path, file) = (place.path, place.file)
        switch failure {
        case .unreachable(let reason):
            Terminal.complain(
                "error: no gateway answers at \(path): \(reason)\n"
                    + "   The path comes from \(file). Is a gateway running with this file, and as your user?")
            return ExitStatus.unreachable
        case .silent(let seconds):
            Terminal.complain(
                "error: the gateway at \(path) did not answer within \(seconds) seconds\n"
                    + "   It has the command and may still carry it out; its log says what it is doing.")
            return ExitStatus.unreachable
        case .cutShort:
            Terminal.complain(
                "error: the gateway at \(path) ended before its answer was complete\n"
                    + "   Its log says why.")
            return ExitStatus.failure
        }
    }
}
