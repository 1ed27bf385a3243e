import Bytes
import GatewayHTTP2
import GatewayIO
import GatewayTLS
import Glibc
import WebSocket

/// Connections come about; some come and go, and some only stay.
extension LoadGenerator {
    /// Begins to connect, and sends the request at once where the kernel is as quick as that.
    mutating func open(_ slot: UInt32) throws(Errno) {
        let begun = Clock.monotonicNanoseconds()
        let socket: Socket
        do throws(Errno) {
            socket = try address.connect()
        } catch {
            guard error.code != EMFILE, error.code != ENFILE else { throw error }
            faults.add(.refused, "connection \(slot): \(error)")
            return
        }
        let number = socket.number
        let tls = tls?.makeLayer()
        let peer = peers.insert(socket, layer(over: tls), tls, at: slot, now: begun)
        opening += 1
        // On loopback the connection is there when `connect` returns: no event has to say so.
        guard let isSent = try greet(peer) else { return }
        peer.pointee.wantsWritable = !isSent
        try poller.add(number, token: peer.pointee.token, interest: isSent ? .readable : [.readable, .writable])
    }

    private func layer(over tls: TLSLayer?) -> TransportLayer? {
        guard plan.speaksHTTP2 else { return tls }
        guard let tunnel = HTTP2Tunnel(over: tls, accept: { OpeningHandshake.answer(toKey: Array($0.utf8)) }) else {
            fatalError("out of memory")
        }
        return tunnel
    }

    /// Says what is to be said first: the request, or what TLS has to say before.
    ///
    /// - Returns: whether it is sent; nil when the connection has failed.
    private mutating func greet(_ peer: PeerPlace) throws(Errno) -> Bool? {
        guard let layer = peer.pointee.layer, !layer.isOpen else { return try sendRequest(peer) }
        switch layer.flush(peer.pointee.socket) {
        case .moved, .endOfStream:
            peer.pointee.phase = .securing
            return true
        case .wouldBlock: return false
        case .failed(let error) where error.code == ENOTCONN: return false
        case .failed(let error):
            try ended(peer, "\(error)")
            return nil
        }
    }

    /// TLS has heard something: it goes on, or the request can be sent.
    mutating func goOn(_ peer: PeerPlace) throws(Errno) {
        guard let isSent = try greet(peer) else { return }
        try want(writable: !isSent, peer)
    }

    /// - Returns: whether the request is sent; nil when the connection has failed.
    private mutating func sendRequest(_ peer: PeerPlace) throws(Errno) -> Bool? {
        let result = unsafe request.withUnsafeBytes { unsafe peer.pointee.send($0) }
        switch result {
        case .moved(request.count):
            peer.pointee.phase = .handshake
            return peer.pointee.isDrained
        case .wouldBlock: return false
        case .moved, .endOfStream: try ended(peer, "the request was not taken in one piece")
        case .failed(let error): try ended(peer, "\(error)")
        }
        return nil
    }

    mutating func becameWritable(_ peer: PeerPlace) throws(Errno) {
        switch peer.pointee.phase {
        case .connecting, .securing: try goOn(peer)
        case .handshake, .open, .closing: try flush(peer)
        }
    }

    /// Asks to be told when there is room for more, or no longer.
    @inline(__always)
    func want(writable: Bool, _ peer: PeerPlace) throws(Errno) {
        guard peer.pointee.wantsWritable != writable else { return }
        peer.pointee.wantsWritable = writable
        let interest: Poller.Interest = writable ? [.readable, .writable] : .readable
        try poller.modify(peer.pointee.socket.number, token: peer.pointee.token, interest: interest)
    }

    mutating func takeReply(_ bytes: Span<UInt8>, from peer: PeerPlace) throws(Errno) {
        let held = peer.pointee.collected.count
        var outcome = OpeningReply.Outcome.needMore
        if held == 0 { outcome = OpeningReply.evaluate(bytes, offersDeflate: plan.deflates) }
        if outcome == .needMore {
            unsafe bytes.withUnsafeBytes { unsafe peer.pointee.collected.append($0) }
            let whole = unsafe UnsafeBufferPointer(peer.pointee.collected.bytes.assumingMemoryBound(to: UInt8.self))
            outcome = unsafe OpeningReply.evaluate(whole.span, offersDeflate: plan.deflates)
        }
        switch outcome {
        case .needMore: return
        case .refused(let sentence): try ended(peer, sentence)
        case .open(let length, let deflate):
            // What was held before was no whole head, so the head ends in these bytes.
            peer.pointee.collected.free()
            peer.pointee.phase = .open
            opening -= 1
            live += 1
            try agree(peer, deflate)
            if plan.mode == .connect { try beginClosing(peer) }
            _ = try feed(bytes.extracting(min(bytes.count, max(0, length - held))...), to: peer)
        }
    }

    /// Notes what a connection has agreed on.
    private mutating func agree(_ peer: PeerPlace, _ deflate: DeflateResponse?) throws(Errno) {
        if security == nil, let tls = peer.pointee.tls { security = tls.security }
        guard let deflate else { return }
        if compression.agreed == nil { compression.agreed = deflate }
        peer.pointee.reader.allowsCompression = true
        let inflates = plan.mode == .echo || plan.mode == .fanout
        if inflates, deflate.keepsContext { peer.pointee.inflater = try Compression.inflater(keepsContext: true) }
    }

    /// Opens the connections of all these slots, some at a time; those that fail are counted.
    mutating func open(_ slots: Range<UInt32>) throws(Errno) {
        let begun = Clock.monotonicNanoseconds()
        var next = slots.lowerBound
        var progress = (live, begun)
        while next < slots.upperBound || opening > 0 {
            while next < slots.upperBound, opening < plan.ramp {
                try open(next)
                next += 1
            }
            try turn(milliseconds: 100)
            if live != progress.0 { progress = (live, now) }
            if now &- progress.1 > Self.patience {
                faults.add(.refused, times: opening, "\(opening) connections were not opened within 10 s")
                break
            }
        }
        openSeconds = Double(Clock.monotonicNanoseconds() &- begun) / 1e9
    }

    // MARK: Coming, going and staying

    /// Each slot connects, shakes hands, closes, and begins again.
    mutating func runConnect() throws(Errno) {
        if plan.resumes, try !earnTicket() { return }
        var schedule = Schedule(rate: plan.rate, begin: Clock.monotonicNanoseconds())
        // A completed handshake is counted when the server has ended the connection, behind its own Close.
        try measure(limit: plan.messages) { generator, now throws(Errno) in
            for slot in 0..<generator.peers.count {
                if let peer = generator.peers.occupant(slot) {
                    if now &- min(now, peer.pointee.begun) > 2_000_000_000 { try generator.giveUp(peer) }
                } else if generator.budget > 0, generator.plan.rate == nil || schedule.due(now: now) != nil {
                    schedule.advance()
                    if generator.plan.messages != nil { generator.budget &-= 1 }
                    try generator.open(slot)
                }
            }
            return generator.plan.rate == nil ? 100 : 1
        }
    }

    /// One connection comes and goes before all others, so that these can go on with its session.
    private mutating func earnTicket() throws(Errno) -> Bool {
        try open(0)
        let end = Clock.monotonicNanoseconds() &+ Self.patience
        while peers.occupant(0) != nil, now < end { try turn(milliseconds: 100) }
        completed = 0
        if tls?.hasTicket == true { return true }
        if faults.isEmpty { faults.add(.refused, "the server gives no TLS session that could be resumed") }
        return false
    }

    private mutating func giveUp(_ peer: PeerPlace) throws(Errno) {
        faults.add(.lost, "connection \(peer.pointee.slot): was not opened and closed within 2 s")
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
            guard let peer = peers.occupant(slot), peer.pointee.phase == .open else { continue }
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
        for slot in 0..<peers.count where peers.occupant(slot)?.pointee.hasAnswered == true { count += 1 }
        return count
    }

    private mutating func run(for seconds: Double, until isDone: (borrowing LoadGenerator) -> Bool) throws(Errno) {
        let end = Clock.monotonicNanoseconds() &+ UInt64(seconds * 1e9)
        while Clock.monotonicNanoseconds() < end, !isDone(self) { try turn(milliseconds: 50) }
    }
}
