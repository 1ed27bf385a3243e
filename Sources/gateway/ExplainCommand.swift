import GatewayControl
import GatewayServer

/// `gateway explain`: which route a path has, and which limits.
enum ExplainCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let path = arguments.operands.first else { return ExitStatus.usage }
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        var headers: [(name: String, value: String)] = []
        for text in arguments.values["-H"] ?? [] {
            guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
                Terminal.complain("-H takes a header such as 'Host: api.example.com'")
                return ExitStatus.usage
            }
            let value = text[text.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            headers.append((String(text[..<colon]), String(value)))
        }
        let explanation = RouteExplanation(of: path, headers: headers, in: configuration)
        Terminal.show(explanation.text)
        return explanation.isFound ? ExitStatus.ok : ExitStatus.failure
    }
}
