import GatewayConfiguration
import Glibc

/// How many descriptors this process may have: each connection needs one.
struct DescriptorLimit {
    /// Descriptors for what goes on at a full house: the control socket, `admin` and their clients, logs, modules being read and
    /// probed. Workers and listeners come on top, and peers that are told that there is no room.
    private static let reserve = 96

    let descriptors: Int

    /// The soft limit goes up to the hard one.
    static func raised() -> DescriptorLimit {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(kind, &limit) == 0 else { return DescriptorLimit(descriptors: 1024) }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(kind, &limit)
        _ = unsafe getrlimit(kind, &limit)
        return DescriptorLimit(descriptors: Int(clamping: min(limit.rlim_cur, 1 << 24)))
    }

    /// How many connections may be here without taking what the gateway itself needs.
    func connectionRoom(_ configuration: Configuration, workers: Int) -> Int {
        let own = Self.reserve + 2 * workers + configuration.listeners.count + Acceptor.mostSurplus
        return max(1, descriptors - min(own, descriptors / 2))
    }

    /// Warns where more connections are wanted than there is room for.
    func check(_ configuration: Configuration, room: Int, _ log: Log) {
        guard configuration.maxConnections > room else { return }
        log.warn(
            "max_connections is \(configuration.maxConnections), but the limit of descriptors (\(descriptors)) allows"
                + " \(room); raise it with ulimit -n or LimitNOFILE")
    }
}
