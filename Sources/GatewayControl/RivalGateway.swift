import GatewayIO

/// The gateway that listens at a control socket already, as far as it can be told.
package struct RivalGateway: Equatable, Sendable {
    /// Nil where its process cannot be seen from here.
    package let process: Int32?
    /// The file it serves; nil where it does not say, because it hangs or is no gateway.
    package let configuration: String?

    package init(process: Int32?, configuration: String?) {
        self.process = process
        self.configuration = configuration
    }

    /// Nil where nobody listens, or nobody that we may speak to.
    ///
    /// - Parameter seconds: how long it may think about who it is.
    package init?(at path: String, seconds: Int = 2) {
        guard let socket = try? Socket(connectingTo: path, timeout: seconds) else { return nil }
        process = socket.peerProcess
        let answer = try? ControlClient.ask(.status(.json), at: path, seconds: seconds)
        configuration = answer.flatMap { Self.configuration(in: $0.text) }
    }

    /// The value of a member of a status as JSON.
    static func configuration(in json: String) -> String? {
        guard let start = json.firstRange(of: "\"configuration\":\"")?.upperBound else { return nil }
        var value = ""
        var isEscaped = false
        for character in json[start...] {
            if isEscaped {
                value.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                return value
            } else {
                value.append(character)
            }
        }
        return nil
    }

    /// What is said to whoever wanted to listen at the same socket.
    package func refusal(at path: String) -> String {
        let who = process.map { "process \($0)" } ?? "a process that cannot be seen from here"
        guard let configuration else {
            return """
                \(who) listens at the control socket \(path) already, and does not say what it serves
                   To do: look at it, end it if it hangs; or give this gateway a socket of its own: `control unix:PATH;`
                """
        }
        return """
            another gateway is running: \(who), which serves \(configuration) and listens at the control socket \(path)
               To do: `gateway reload -c \(configuration)` has it read the file again, `gateway stop -c \(configuration)` ends it;
               for two at once give this one a socket of its own: `control unix:PATH;`
            """
    }
}
