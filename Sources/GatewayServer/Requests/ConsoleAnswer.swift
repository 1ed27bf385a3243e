import GatewayConfiguration
import GatewayControl
import Glibc
import HTTP
import HandlerModules
import Synchronization

/// What the console answers: its files, or what its page wants to know. A worker finds all of it by itself.
enum ConsoleAnswer {
    /// - Parameter host: that was asked; the page connects to where it comes from.
    static func response(
        _ asked: ConsolePage.Asked, of console: ConsolePage, host: ArraySlice<UInt8>, on worker: Worker
    ) -> PlainResponse {
        switch asked {
        case .file(let file): return file.response(base: console.base)
        case .state:
            let text = ConsolePage.state(
                routes(for: HostPattern.requested(host), on: worker), process: "\(getpid())-\(worker.server.startedAt)",
                version: GatewayVersion.text, securePort: worker.acceptor.securePort)
            var response = PlainResponse(status: 200, contentType: "application/json", body: Array(text.utf8))
            response.addPageHeaders()
            return response
        }
    }

    private static func routes(for host: String, on worker: Worker) -> [ConsolePage.Route] {
        let counters = worker.server.counters.all
        return worker.routing.routes(for: host).map { route in
            let binding = unsafe route.binding
            let unavailable = unsafe binding == nil ? route.unavailableReason ?? "nobody serves it yet" : nil
            let shares = counters.filter { $0.name.route == route.name && $0.name.handler == route.handler }.map {
                ConsolePage.Share(generation: $0.name.generation, connections: $0.open)
            }
            return ConsolePage.Route(
                pattern: route.pattern, handler: route.handler, unavailable: unavailable,
                generation: unsafe binding?.pointee.generation.number,
                connections: route.connections.load(ordering: .relaxed), shares: shares.filter { $0.connections > 0 })
        }
    }
}
