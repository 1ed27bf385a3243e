import Bytes
import GatewayIO

/// One connection publishes; every connection has to hear each publication once, in order.
extension LoadGenerator {
    mutating func runFanout() throws(Errno) {
        try open(0..<peers.count)
        guard let publisher = peers.occupant(0) else {
            faults.add(.refused, "the publisher is not connected")
            return
        }
        let token = publisher.pointee.token
        try settle()
        try calibrate(publisher)
        guard publications.copies > 0 else {
            faults.add(.lost, "a publication reached nobody")
            return
        }
        completed = 0
        try measureFanout(token)
        try drain()
    }

    /// Runs turns until nothing has come for a while: handlers greet newcomers.
    private mutating func settle() throws(Errno) {
        let quiet: UInt64 = 250_000_000
        var until = Clock.monotonicNanoseconds() &+ quiet
        while Clock.monotonicNanoseconds() < until {
            let before = publications.delivered
            try turn(milliseconds: 20)
            if publications.delivered != before { until = now &+ quiet }
        }
    }

    /// One publication tells how many copies there are of each.
    private mutating func calibrate(_ publisher: PeerPlace) throws(Errno) {
        publish(on: publisher)
        try flush(publisher)
        try settle()
        publications.copies = publications.delivered
    }

    private mutating func measureFanout(_ token: UInt64) throws(Errno) {
        let limit = plan.messages.map { $0 &* publications.copies }
        try measure(limit: limit) { generator, _ throws(Errno) in
            guard let publisher = generator.peers.find(token) else { return 0 }
            let copies = generator.publications.copies
            let room = generator.plan.window &* copies
            var isFilled = false
            while generator.budget > 0, generator.publications.outstanding &+ copies <= room {
                generator.publish(on: publisher)
                if generator.plan.messages != nil { generator.budget &-= 1 }
                isFilled = true
            }
            if isFilled { try generator.flush(publisher) }
            return 20
        }
    }

    /// Waits for what is still on its way; what does not come is lost.
    private mutating func drain() throws(Errno) {
        let patience: UInt64 = 1_000_000_000
        var until = Clock.monotonicNanoseconds() &+ patience
        while publications.outstanding > 0, now < until, live > 0 {
            let before = publications.delivered
            try turn(milliseconds: 20)
            if publications.delivered != before { until = now &+ patience }
        }
        let missing = publications.outstanding
        if missing > 0 { faults.add(.lost, times: missing, "\(missing) publications did not reach somebody") }
    }

    /// Queues one publication: a mark, its number, and the rest of a payload of the stream.
    private mutating func publish(on publisher: PeerPlace) {
        let number = publications.number
        var payload = Array(stream.payloads[..<stream.payloadLength])
        payload[0] = Publications.mark
        for digit in 0..<8 { payload[1 + digit] = Publications.digit(number >> UInt32(28 - 4 * digit)) }
        publications.note(Clock.monotonicNanoseconds())
        var frame: [UInt8] = []
        if let deflater = compression.deflater {
            let packed = FrameStream.append(payload, stream.opcode, Self.key, packedBy: deflater, to: &frame)
            if tally.isOn {
                compression.sent.plain &+= payload.count
                compression.sent.wire &+= packed
            }
        } else {
            frame = FrameStream.frame(opcode: stream.opcode, key: Self.key, payload)
        }
        unsafe frame.withUnsafeBytes { unsafe publisher.pointee.own.append($0) }
    }

    @inline(__always)
    mutating func takePublication(_ payload: Span<UInt8>, _ isEnd: Bool, from peer: PeerPlace) {
        let isWhole = isEnd && peer.pointee.reader.isFinal
        if isWhole, peer.pointee.collected.isEmpty { return deliver(payload, to: peer) }
        guard peer.pointee.collected.count < 1 << 16 else { return }
        unsafe payload.withUnsafeBytes { unsafe peer.pointee.collected.append($0) }
        guard isWhole else { return }
        let whole = unsafe UnsafeBufferPointer(peer.pointee.collected.bytes.assumingMemoryBound(to: UInt8.self))
        unsafe deliver(whole.span, to: peer)
        peer.pointee.collected.removeAll()
    }

    /// Judges a message: a publication, perhaps with something in front, or else a greeting.
    @inline(__always)
    private mutating func deliver(_ message: Span<UInt8>, to peer: PeerPlace) {
        guard let start = Publications.start(in: message) else { return }
        publications.delivered &+= 1
        completed &+= 1
        let tail = message.extracting(start...)
        guard tail.count == stream.payloadLength, let number = Publications.number(in: tail),
            tail.extracting(9...).isEqual(to: stream.payloads.span.extracting(9..<stream.payloadLength))
        else {
            faults.add(.mismatched, "connection \(peer.pointee.slot): a publication is not the one that was sent")
            return
        }
        if let expected = peer.pointee.nextPublication, expected != number {
            faults.add(
                .mismatched, "connection \(peer.pointee.slot): publication \(number) came where \(expected) was due")
        }
        peer.pointee.nextPublication = number &+ 1
        let time = publications.time(of: number)
        if tally.isOn, peer.pointee.lastHeard >= tally.begin {
            tally.longestPause = max(tally.longestPause, now &- min(now, peer.pointee.lastHeard))
        }
        peer.pointee.lastHeard = now
        tally.count(now > time ? now &- time : 0, bytes: message.count, now: now)
    }
}

/// What was published and when.
struct Publications {
    static let mark: UInt8 = 0x23
    /// Copies that one publication makes, once that is known.
    var copies = 0
    var delivered = 0
    private(set) var number: UInt32 = 0
    /// Times of the last publications. The ring is larger than any window.
    private var times = [UInt64](repeating: 0, count: 1 << 17)

    /// Deliveries that are still to come.
    var outstanding: Int { Int(number) &* copies &- delivered }

    /// Counts the next publication.
    mutating func note(_ time: UInt64) {
        times[Int(number) & (times.count - 1)] = time
        number &+= 1
    }

    func time(of number: UInt32) -> UInt64 { times[Int(number) & (times.count - 1)] }

    static func digit(_ value: UInt32) -> UInt8 {
        let low = UInt8(truncatingIfNeeded: value & 15)
        return low < 10 ? 0x30 + low : 0x57 + low
    }

    /// Where the mark is; a handler may put something in front, a name for instance.
    @inline(__always)
    static func start(in message: Span<UInt8>) -> Int? {
        for index in 0..<min(message.count, 64) where message[index] == mark { return index }
        return nil
    }

    @inline(__always)
    static func number(in tail: Span<UInt8>) -> UInt32? {
        guard tail.count >= 9 else { return nil }
        var number: UInt32 = 0
        for index in 1..<9 {
            let byte = tail[index]
            let digit = byte >= 0x61 ? byte &- 0x57 : byte &- 0x30
            guard digit < 16 else { return nil }
            number = number << 4 | UInt32(digit)
        }
        return number
    }
}
