import GatewayControl
import GatewayServer

/// `gateway explain`: which route a path has, and which limits.
enum ExplainCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        guard let path = arguments.operands.first else { return ExitStatus.usage }
        guard let configuration = ConfigurationFile.load(arguments.file) else { return ExitStatus.configuration }
        let explanation = RouteExplanation(of: path, in: configuration)
        Terminal.show(explanation.text)
        return explanation.isFound ? ExitStatus.ok : ExitStatus.failure
    }
}
