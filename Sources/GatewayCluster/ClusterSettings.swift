/// What the `cluster` line says.
package struct ClusterSettings: Sendable, Equatable {
    /// Of engines, or of seeds of one, as they stand in gateway.conf.
    package var urls: [String]
    /// What engines call this gateway.
    package var name: String
    /// What all names that this gateway and its like use with the engine begin with.
    package var prefix: String
    package var user: String
    package var password: String
    /// Bytes of publications that may wait for an engine.
    package var queue: Int
    /// How often the engine is asked for a sign of life, in milliseconds.
    package var probe: Int

    package init(
        urls: [String], name: String, prefix: String = "gateway", user: String = "", password: String = "",
        queue: Int = 64 << 20, probe: Int = 5000
    ) {
        (self.urls, self.name, self.prefix) = (urls, name, prefix)
        (self.user, self.password, self.queue, self.probe) = (user, password, queue, probe)
    }

    /// The part of a URL in front of the first colon.
    static func scheme(of url: String) -> Substring { url.prefix { $0 != ":" } }
}
