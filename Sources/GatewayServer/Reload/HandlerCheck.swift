package import GatewayConfiguration
import HandlerModules

/// What `gateway check` finds out about handlers.
package enum HandlerCheck {
    /// Tries what lies in the folders of handlers, each in a probe process; loads, starts and remembers nothing.
    ///
    /// - Returns: a text for each handler or route that could not serve.
    package static func troubles(_ configuration: Configuration, prober: String = Server.ownProgram) -> [String] {
        let runDirectory: RunDirectory
        do throws(RunDirectoryError) {
            // Whoever checks may not be who serves, and not write where that one does.
            let bases = StateFolders(configuration).bases
            runDirectory = try RunDirectory(bases: bases + RunDirectory.defaultBases().filter { !bases.contains($0) })
        } catch {
            return ["error: no folder for the copies of modules: \(error)"]
        }
        defer { runDirectory.remove() }
        let loader = ModuleLoader(
            locator: ModuleLocator(plugins: [configuration.pluginsFolder]), runDirectory: runDirectory)
        var seen: Set<String> = []
        let handlers = configuration.routes.map(\.handler).filter { seen.insert($0).inserted }
        return handlers.flatMap { handler in
            let routes = configuration.routes.filter { $0.handler == handler }
            let origin = routes.first.map { "\($0.origin): " } ?? ""
            do throws(ModuleError) {
                let candidate = try loader.prepare(Module(handler: handler))
                return judge(candidate, routes, prober).map { "\(origin)error: \($0)" }
            } catch {
                return ["\(origin)error: \(error.finding)"]
            }
        }
    }

    /// What a probe finds; where it ends at one of several routes, each of them is tried by itself.
    private static func judge(
        _ candidate: borrowing Candidate, _ routes: [RouteConfiguration], _ prober: String
    ) -> [String] {
        guard let first = finding(candidate, routes, prober) else { return [] }
        if routes.count == 1 { return [first] }
        var findings: [String] = []
        for route in routes {
            if let finding = finding(candidate, [route], prober), !findings.contains(finding) {
                findings.append(finding)
            }
        }
        // Routes that only together do not start.
        return findings.isEmpty ? [first] : findings
    }

    private static func finding(
        _ candidate: borrowing Candidate, _ routes: [RouteConfiguration], _ prober: String
    ) -> String? {
        let longest = routes.map(\.limits.startTimeoutMilliseconds).max() ?? 10_000
        do throws(ModuleError) {
            try ModuleProbe.judge(
                candidate, routes: routes.map { RouteSettings($0, isProbe: true) }, timeout: .milliseconds(longest),
                executable: prober)
            return nil
        } catch {
            return error.finding
        }
    }
}
