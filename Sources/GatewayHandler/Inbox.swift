/// What has come in for a session and not been read, and who waits for it.
@safe
struct Inbox {
    /// With so much unread the gateway stops reading the socket, and the peer feels it.
    private static let mostFrames = 256
    private static let mostOctets = 256 * 1024
    /// With no more than so much it goes on.
    private static let fewFrames = 64
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
    /// When the last frame came in, by the clock that all callbacks of a turn share.
    private var lastTurn: Duration = .zero
    /// More than one frame came in at once the last time.
    private var isBurst = false
    /// The reader will be woken for what has come in.
    private var isWakeDue = false
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

    /// What becomes of a frame that came in.
    @safe
    enum Placement {
        /// It goes straight to who waits for it.
        case given(Waiter)
        /// It is kept, and who waits has to be woken when all of the turn has come in.
        case keptForWaiter
        case kept
        /// It is kept, and now there is enough.
        case keptAsLast
    }

    /// Takes a frame in.
    ///
    /// To wake a task costs many times what a frame does. So a peer that sends several at once has its reader woken
    /// for all of them, and one that sends one at a time for each.
    /// - Parameter turn: what the clock of the turn says; zero when that is not known.
    mutating func put(_ frame: Frame, at turn: Duration) -> Placement {
        if turn == lastTurn, turn > .zero { isBurst = true }
        lastTurn = turn
        if !isBurst && count == 0, let waiter = unsafe waiter {
            unsafe self.waiter = nil
            return unsafe .given(waiter.continuation)
        }
        frames.append(frame)
        octets += frame.octets.count
        if unsafe waiter != nil, !isWakeDue {
            isWakeDue = true
            return .keptForWaiter
        }
        if isHeld || (count < Self.mostFrames && octets < Self.mostOctets) { return .kept }
        isHeld = true
        return .keptAsLast
    }

    /// Who waits for a frame and the frame, when there are both. What was kept for it is all here now.
    mutating func wake() -> (Waiter, Frame, goesOn: Bool)? {
        isWakeDue = false
        if count <= 1 { isBurst = false }
        guard let reader = unsafe waiter, case (let frame?, let goesOn) = take() else { return nil }
        unsafe waiter = nil
        return unsafe (reader.continuation, frame, goesOn)
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
