import GatewayConfiguration
import GatewayLoad
import GatewayTLS
import Glibc

/// `gateway connect URL`: a client to talk to a WebSocket with.
enum ConnectCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let url = arguments.operands.first else { return ExitStatus.usage }
        let request: ClientRequest
        let session: ConnectSession.Plan
        do throws(LoadUsageError) {
            request = try Self.request(url, arguments)
            session = try plan(arguments)
        } catch {
            Terminal.complain("error: \(error.sentence)\n       `gateway connect --help` shows how it is used")
            return ExitStatus.usage
        }
        do throws(ClientConnection.Failure) {
            let connection = try ClientConnection.open(request)
            var conversation = ConnectSession(connection, session, url: request.destination.url)
            return conversation.run()
        } catch {
            return complain(error, request)
        }
    }

    private static func request(_ url: String, _ arguments: Arguments) throws(LoadUsageError) -> ClientRequest {
        var request = ClientRequest(try Destination(url: ConnectURL.completed(url)))
        request.headers = try (arguments.values["-H"] ?? []).map { text throws(LoadUsageError) in
            let hasName = text.firstIndex(of: ":").map { $0 > text.startIndex } ?? false
            guard hasName, text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                throw LoadUsageError("-H takes a header such as 'Origin: https://www.example.com'")
            }
            return text
        }
        request.subprotocols = (arguments.values["--subprotocol"] ?? []).flatMap {
            $0.split(whereSeparator: { ", ".contains($0) }).map { String($0) }
        }
        request.offersDeflate = arguments.flags.contains("--deflate")
        request.speaksHTTP2 = arguments.flags.contains("--http2")
        if let file = arguments.values["--cacert"]?.last { request.trust = .file(file) }
        if arguments.flags.contains("--insecure") { request.trust = .anybody }
        return request
    }

    private static func plan(_ arguments: Arguments) throws(LoadUsageError) -> ConnectSession.Plan {
        let isInteractive = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1
        let form: MessageView.Form =
            arguments.flags.contains("--raw")
            ? .raw : arguments.isJSON ? .json : isInteractive ? .readable : .lines
        var view = MessageView(form, colour: form == .readable && Terminal.hasColour(STDOUT_FILENO))
        view.showsPings = arguments.flags.contains("--pings")
        var lingering: Int64? = 0
        if let text = arguments.values["--wait"]?.last {
            do throws(UnitError) {
                lingering = try text == "forever" ? nil : Unit.milliseconds(text)
            } catch {
                throw LoadUsageError("--wait takes a duration such as 500ms or 5s, or \"forever\"")
            }
        }
        return ConnectSession.Plan(isInteractive: isInteractive, view: view, lingeringMilliseconds: lingering)
    }

    private static func complain(_ failure: ClientConnection.Failure, _ request: ClientRequest) -> Int32 {
        switch failure {
        case .refused(let answer):
            Terminal.complain("error: \(request.destination.url): \(MessageView.refusal(answer))")
            return ExitStatus.failure
        case .broken(let sentence):
            Terminal.complain("error: \(request.destination.url): \(sentence)")
            return ExitStatus.failure
        case .unreachable(let sentence):
            var text = "error: cannot connect to \(request.destination.url): \(sentence)"
            if sentence.contains("certificate") {
                text +=
                    "\n   --cacert FILE trusts the authority in a file, such as the one `gateway dev-cert` names;"
                    + " --insecure trusts anybody."
            } else if sentence.contains("does not speak TLS") {
                text += "\n   Without TLS the URL begins with ws://."
            }
            Terminal.complain(text)
            return ExitStatus.unreachable
        }
    }
}

/// A URL as people type it.
package enum ConnectURL {
    /// The URL in full: `localhost:8080/chat`, `:8080/chat` and `http://...` are understood, too.
    package static func completed(_ url: String) -> String {
        for (other, own) in [("http://", "ws://"), ("https://", "wss://")] where url.hasPrefix(other) {
            return own + url.dropFirst(other.utf8.count)
        }
        if url.contains("://") { return url }
        if url.hasPrefix(":") { return "ws://localhost\(url)" }
        return "ws://\(url)"
    }
}

extension Destination {
    /// As it can be typed again.
    var url: String { "\(isSecure ? "wss" : "ws")://\(authority)\(path)" }
}
