import GatewayConfiguration

/// `recycle`: a process that is too fat or too old gives way to another one of the same build.
extension IsolatedHandler {
    /// When it is too old.
    var nextRecycling: UInt64? {
        guard isServing, next == nil, let most = recycling?.milliseconds else { return nil }
        return max(servesSince &+ UInt64(clamping: most) &* 1_000_000, recycleLook)
    }

    /// It is time for another process of the same build.
    func recycleIfDue(_ now: UInt64) {
        guard isServing, next == nil, now >= recycleLook, let recycling else { return }
        var why: String?
        if let most = recycling.bytes, tallies.residentBytes > UInt64(clamping: most) {
            why = "its process has \(tallies.residentBytes >> 20)m of memory"
        }
        if let most = recycling.milliseconds, now &- servesSince >= UInt64(clamping: most) &* 1_000_000 {
            why = "its process is older than \(Unit.text(milliseconds: most))"
        }
        guard let why else { return }
        // If that comes to nothing.
        recycleLook = now &+ 60_000_000_000
        handlerManager.recycle(self, why + " (recycle)")
    }

    private var recycling: GatewayConfiguration.Isolation.Recycling? {
        handlerManager.configuration.routes.first { $0.handler == handler }?.limits.isolation.recycling
    }
}
