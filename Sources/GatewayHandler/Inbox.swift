/// What has come in for a session and not been read, and who waits for it.
@safe
struct Inbox {
    /// With so much unread the gateway stops reading the socket, and the peer feels it.
    private static let mostFrames = 64
    private static let mostOctets = 256 * 1024
    /// With no more than so much it goes on.
    private static let fewFrames = 16
    private static let fewOctets = 64 * 1024

    typealias Waiter = UnsafeContinuation<Frame?, any Error>
    typealias Sleeper = UnsafeContinuation<Void, any Error>

    /// Somebody who sleeps, and the timer for it once that is known.
    @safe
    struct Sleep {
        let continuation: Sleeper
        var timer: TimerHandle?
    }

    private var frames: [Frame] = []
    /// The first frame that has not been read.
    private var next = 0
    private var octets = 0
    private var isHeld = false
    /// Who reads, and the number of its wait, so that one which was given up is not taken for a later one.
    var waiter: (number: UInt64, continuation: Waiter)?
    /// Who sleeps, by numbers of the same kind.
    var sleepers: [UInt64: Sleep] = [:]
    private var lastNumber: UInt64 = 0
    /// The connection has ended.
    var end: CloseEvent?

    private var count: Int { frames.count - next }

    mutating func newNumber() -> UInt64 {
        lastNumber &+= 1
        return lastNumber
    }

    /// - Returns: who gets the frame, if somebody waits; otherwise it is kept, and perhaps there is enough of them now.
    mutating func put(_ frame: Frame) -> (Waiter?, isFull: Bool) {
        if let waiter = unsafe waiter {
            unsafe self.waiter = nil
            return unsafe (waiter.continuation, false)
        }
        frames.append(frame)
        octets += frame.octets.count
        if isHeld || (count < Self.mostFrames && octets < Self.mostOctets) { return (nil, false) }
        isHeld = true
        return (nil, true)
    }

    /// The next frame, if there is one; and whether reading goes on.
    mutating func take() -> (Frame?, goesOn: Bool) {
        guard next < frames.count else { return (nil, false) }
        let frame = frames[next]
        next += 1
        octets -= frame.octets.count
        if next == frames.count {
            frames.removeAll(keepingCapacity: true)
            next = 0
        } else if next >= Self.mostFrames {
            frames.removeFirst(next)
            next = 0
        }
        guard isHeld, count <= Self.fewFrames, octets <= Self.fewOctets else { return (frame, false) }
        isHeld = false
        return (frame, end == nil)
    }

    /// What reading comes to at the end: nothing after a closing handshake, an error after anything else.
    static func verdict(_ event: CloseEvent) -> Result<Frame?, any Error> {
        switch event.initiator {
        case .peer, .handler, .reload, .shutdown:
            event.code == .abnormalClosure ? .failure(ConnectionLost(event: event)) : .success(nil)
        case .gateway, .transport, nil: .failure(ConnectionLost(event: event))
        }
    }
}
