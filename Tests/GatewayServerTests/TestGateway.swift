import Foundation
import GatewayConfiguration
import GatewayServer
import TestSupport

/// A gateway of a test's own on a port of its own, served from its own thread until the test lets go of it.
final class TestGateway {
    let port: UInt16
    private let stopper: Server.Stopper
    private var thread: Thread?

    /// Keeps a thread where it can be taken from.
    private final class Thread {
        private var running: RunningThread?
        init(_ running: consuming RunningThread) { self.running = consume running }
        func join() { running.take()?.join() }
    }

    /// - Parameters:
    ///   - route: what stands in the block of `/probe`.
    ///   - rest: what stands beside it.
    init(
        handler: String = "fixture_probe", route: String = "", defaults: String = "", rest: String = "",
        threads: Int = 2, control: String = "off", options: ListenerOptions = .plain,
        environment: ServiceEnvironment = ServiceEnvironment()
    ) throws {
        let isFixture = handler.hasPrefix("fixture_")
        if isFixture { Fixture.file(handler) }
        // A ping among what a test compares would come where the machine is busy for half a minute.
        let pings = (route + defaults).contains("ping_interval") ? "" : "ping_interval off;"
        let text = """
            \(isFixture ? "plugins \(Fixture.folder) { watch off; }" : "")
            listen 127.0.0.1:0; threads \(threads); access_log off; error_log off; control \(control);
            defaults { close_timeout 200ms; \(pings) \(defaults) }
            route /probe { handler \(handler); \(route) }
            \(rest)
            """
        let configuration = try Configuration.parse(Array(text.utf8), file: "gateway.conf").configuration
        // Only the thread that runs it touches it from here on.
        nonisolated(unsafe) let server = try Server(
            configuration, prober: Self.prober, options: options, environment: environment)
        port = server.listeningPorts[0]
        stopper = server.stopper
        thread = Thread(
            RunningThread {
                do { try server.run() } catch { fatalError("\(error)") }
            })
    }

    /// The gateway itself, which was built beside the test runner.
    static var prober: String {
        let runner = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return runner.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/gateway"
    }

    deinit { stop() }

    /// Returns when the gateway has ended.
    func stop() {
        beginStopping()
        thread?.join()
        thread = nil
    }

    /// Does what SIGTERM does.
    func beginStopping() { stopper.stop() }

    func connect(
        _ query: String = "", headers: [String] = [], with first: [UInt8] = [], receiveBuffer: Int32? = nil
    ) throws -> TestClient {
        try TestClient(
            port: port, open: "/probe\(query)", headers: headers, with: first, receiveBuffer: receiveBuffer)
    }

    /// What the handler has heard once the text stands in it so many times.
    @discardableResult
    func record(until text: String = "", times: Int = 1) throws -> [String] {
        let client = try TestClient(port: port)
        let encoded = text.split(separator: " ", omittingEmptySubsequences: false).joined(separator: "%20")
        let response = try client.get("/probe?until=\(encoded)&times=\(times)")
        return response.body.split(separator: "\n").map(String.init)
    }

    /// Lets a thread of the handler answer the upgrades that were held back.
    func answerHeld() throws { _ = try TestClient(port: port).get("/probe?do=answer") }
}

extension [String] {
    /// The lines that tell how a connection ended, and nothing that must never be there.
    var endings: [String] { filter { $0.contains(" close ") && !$0.hasPrefix("thread") || $0.contains("BROKEN") } }
}
