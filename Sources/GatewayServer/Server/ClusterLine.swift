import GatewayCluster
package import GatewayConfiguration
import GatewayControl
import Glibc
import HandlerModules

/// The `cluster` line of gateway.conf, with the file that it names as it is now.
package enum ClusterLine {
    static func settings(_ configuration: Configuration) throws(Server.Failure) -> ClusterSettings? {
        guard let line = configuration.cluster else { return nil }
        var settings = ClusterSettings(
            urls: line.urls, name: line.name ?? "\(AdminAccess.ownName)-\(getpid())", prefix: line.prefix,
            user: line.user ?? "", queue: line.queueBytes, probe: Int(line.probeMilliseconds))
        guard let file = line.passwordFile else { return settings }
        do throws(BearerToken.Failure) {
            settings.password = try BearerToken(file: file).text
        } catch {
            throw Server.Failure(description: "\(line.origin): password_file: \(error)", isConfiguration: true)
        }
        return settings
    }

    /// Routes whose topics end here.
    static func localRoutes(_ configuration: Configuration) -> Set<String> {
        Set(configuration.routes.filter { $0.limits.topics == .local }.map(\.name))
    }

    static func prepare(
        _ configuration: Configuration, _ cluster: Cluster
    ) throws(Server.Failure) -> Cluster.Prepared {
        let settings = try settings(configuration)
        do throws(ClusterError) {
            return try cluster.prepare(settings)
        } catch {
            let origin = configuration.cluster.map { "\($0.origin): " } ?? ""
            throw Server.Failure(description: "\(origin)cluster: \(error)", isConfiguration: true)
        }
    }

    /// Where modules are: beside the program, or in the folder of libraries of its package.
    static var folders: [String] {
        let own = OwnProgram.path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        return [own, own + "/../lib/gateway"]
    }

    /// What `gateway check` finds out: the line, its module, and whether the engine answers.
    package static func troubles(_ configuration: Configuration) -> [String] {
        guard let line = configuration.cluster else { return [] }
        do {
            guard let settings = try settings(configuration) else { return [] }
            return try Cluster.check(settings, folders: folders).map { "\(line.origin): error: cluster: \($0)" }
        } catch {
            let (prefix, what) = ("\(line.origin): ", "\(error)")
            let rest = what.hasPrefix(prefix) ? String(what.dropFirst(prefix.count)) : "cluster: \(what)"
            return ["\(prefix)error: \(rest)"]
        }
    }
}
