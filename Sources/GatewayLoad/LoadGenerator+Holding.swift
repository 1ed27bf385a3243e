import GatewayIO

/// Connections that come and go, and connections that only stay.
extension LoadGenerator {
    /// Each slot connects, shakes hands, closes, and begins again.
    mutating func runConnect() throws(Errno) {
        // A completed handshake is counted when the server has ended the connection, behind its own Close.
        try measure(limit: plan.messages) { generator, now throws(Errno) in
            for slot in 0..<generator.peers.count {
                if let peer = generator.peers.occupant(slot) {
                    if now &- min(now, peer.its.begun) > 2_000_000_000 { try generator.giveUp(peer) }
                } else if generator.budget > 0 {
                    if generator.plan.messages != nil { generator.budget &-= 1 }
                    try generator.open(slot)
                }
            }
            return 100
        }
    }

    private mutating func giveUp(_ peer: PeerPlace) throws(Errno) {
        faults.add(.lost, "connection \(peer.its.slot): was not opened and closed within 2 s")
        drop(peer)
    }

    /// Opens all, looks at the memory of the server, waits, and asks each connection whether it is alive.
    mutating func runIdle() throws(Errno) {
        // The first handshake brings pages of code into memory, which no connection has to answer for.
        try open(0..<1)
        emptyUsage = ServerUsage.sample(plan.processes)
        try open(1..<peers.count)
        // Servers give handshake buffers back a moment later.
        try run(for: 0.3) { _ in false }
        fullUsage = ServerUsage.sample(plan.processes)
        try run(for: plan.hold) { _ in false }
        for slot in 0..<peers.count {
            guard let peer = peers.occupant(slot), peer.its.phase == .open else { continue }
            queueControl(9, Self.question, on: peer)
            try flush(peer)
        }
        try run(for: 3) { generator in generator.countAlive() == generator.live }
        alive = countAlive()
        if alive < Int(peers.count) {
            faults.add(
                .lost, times: Int(peers.count) - alive, "\(Int(peers.count) - alive) connections did not answer a Ping")
        }
    }

    private func countAlive() -> Int {
        var count = 0
        for slot in 0..<peers.count where peers.occupant(slot)?.its.hasAnswered == true { count += 1 }
        return count
    }

    private mutating func run(for seconds: Double, until isDone: (borrowing LoadGenerator) -> Bool) throws(Errno) {
        let end = Clock.monotonicNanoseconds() &+ UInt64(seconds * 1e9)
        while Clock.monotonicNanoseconds() < end, !isDone(self) { try turn(milliseconds: 50) }
    }
}
