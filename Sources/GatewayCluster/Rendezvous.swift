import GatewayConfiguration

/// Which of several engines a name belongs to: the one whose hash with the name is the highest, so that one engine more
/// takes its share of the names of the others and moves no other.
struct Rendezvous: Sendable {
    private let seeds: [UInt64]

    init(_ urls: [String]) { seeds = urls.map { Self.hash(Self.identity($0).utf8, from: 0xCBF2_9CE4_8422_2325) } }

    /// What gateways agree on that write the URL of an engine in different ways.
    static func identity(_ url: String) -> String {
        let url = URLSecret.anonymous(url)
        guard url.hasPrefix("redis://") else { return url }
        let rest = url.dropFirst("redis://".count)
        let host = rest.prefix { $0 != "/" && $0 != "?" }
        let database = rest.dropFirst(host.count).filter { $0 != "/" }
        // An IPv6 address is in brackets, so a colon behind the last of them is that of a port.
        let hasPort = host.lastIndex(of: ":").map { !host[$0...].contains("]") } ?? false
        return "redis://\(host)\(hasPort ? "" : ":6379")/\(database.isEmpty ? "0" : database)"
    }

    func index(of name: [UInt8]) -> Int {
        if seeds.count < 2 { return 0 }
        var (best, most) = (0, UInt64.min)
        for (index, seed) in seeds.enumerated() {
            let weight = Self.finish(Self.hash(name, from: seed))
            if weight >= most { (best, most) = (index, weight) }
        }
        return best
    }

    /// FNV-1a; gateways of all versions have to agree.
    private static func hash(_ bytes: some Sequence<UInt8>, from seed: UInt64) -> UInt64 {
        bytes.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// FNV leaves the upper bits of short names alike.
    private static func finish(_ hash: UInt64) -> UInt64 {
        var hash = hash
        hash = (hash ^ hash >> 33) &* 0xFF51_AFD7_ED55_8CCD
        hash = (hash ^ hash >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return hash ^ hash >> 33
    }
}
