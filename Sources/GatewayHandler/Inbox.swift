/// What has come in for a session and not been read, and the tasks that wait for it.
///
/// Under the lock of the session, as is what it tells the gateway: a reader may be another thread than the one that
/// brings frames, and "stop" and "go on" must reach the gateway in the order in which they were decided.
@safe
struct Inbox {
    /// With so much unread the gateway stops reading the socket, and the peer feels it.
    private static let highWaterFrames = 256
    private static let highWaterBytes = 256 * 1024
    /// With no more than so much it goes on.
    private static let lowWaterFrames = 64
    private static let lowWaterBytes = 64 * 1024

    typealias Waiter = UnsafeContinuation<Frame?, any Error>
    typealias Sleeper = UnsafeContinuation<Void, any Error>

    /// A task that sleeps, and the timer for it once that is known.
    @safe
    struct Sleep {
        let continuation: Sleeper
        var timer: TimerHandle?
    }

    private static let noFrame = Frame(.binary, [])

    private let connection: Connection
    private var frames: [Frame] = []
    /// The first frame that has not been read.
    private var next = 0
    private var bytes = 0
    /// The gateway has been told to stop reading.
    private var isPaused = false
    /// With so much unread it is told, for the first time or again.
    private var pauseFrames = Self.highWaterFrames
    private var pauseBytes = Self.highWaterBytes
    /// More waits for the peer than it reads: nothing is read from it until the queue has drained.
    private var isBlocked = false
    /// How often the queue has drained.
    private var drains = 0
    /// When the last frame came in, by the clock that all callbacks of a turn share.
    private var lastTurn: Duration = .zero
    /// More than one frame came in at once the last time.
    private var isBurst = false
    /// The reader will be woken for what has come in.
    private var isWakeDue = false
    /// The reader, and the number of its wait, so that one which was given up is not taken for a later one.
    var waiter: (number: UInt64, continuation: Waiter)?
    /// The sleepers, by numbers of the same kind.
    var sleepers: [UInt64: Sleep] = [:]
    private var lastNumber: UInt64 = 0
    /// The connection has ended.
    var end: CloseEvent?

    private var count: Int { frames.count - next }

    init(_ connection: Connection) { self.connection = connection }

    mutating func newNumber() -> UInt64 {
        lastNumber &+= 1
        return lastNumber
    }

    /// What becomes of a frame that came in.
    @safe
    enum Placement {
        /// The frame goes straight to the reader that waits for it.
        case given(Waiter)
        /// The frame is kept, and the reader has to be woken when all of the turn has come in.
        case keptForWaiter
        case kept
    }

    /// Takes a frame in.
    ///
    /// To wake a task costs many times what a frame does. So a peer that sends several at once has its reader woken
    /// for all of them, and one that sends one at a time for each.
    /// - Parameter turn: what the clock of the turn says; zero when that is not known.
    mutating func put(_ frame: Frame, at turn: Duration) -> Placement {
        if turn == lastTurn, turn > .zero { isBurst = true }
        lastTurn = turn
        if !isBurst && count == 0 && !isBlocked, let waiter = unsafe waiter {
            unsafe self.waiter = nil
            return unsafe .given(waiter.continuation)
        }
        frames.append(frame)
        bytes += frame.bytes.count
        if count >= pauseFrames || bytes >= pauseBytes { pause() }
        if isBlocked || isWakeDue { return .kept }
        if unsafe waiter == nil { return .kept }
        isWakeDue = true
        return .keptForWaiter
    }

    /// Has the gateway stop reading. When a "go on" of another thread is still under way to it, that comes behind and
    /// frames keep coming, so a little later it is told again.
    private mutating func pause() {
        isPaused = true
        (pauseFrames, pauseBytes) = (count + Self.lowWaterFrames, bytes + Self.lowWaterBytes)
        connection.setReading(false)
    }

    private mutating func resume() {
        isPaused = false
        (pauseFrames, pauseBytes) = (Self.highWaterFrames, Self.highWaterBytes)
        connection.setReading(true)
    }

    /// A send was answered `backpressure`; `drains` is how often the queue had drained before.
    ///
    /// If it has again since then, it was perhaps for what this send had queued, and would not be told another time.
    mutating func block(_ drains: Int) {
        if drains == self.drains { isBlocked = true }
    }

    /// The queue has drained.
    ///
    /// - Returns: how often by now.
    mutating func unblock() -> Int {
        isBlocked = false
        drains += 1
        return drains
    }

    /// The reader that waits and its frame, when there are both. What was kept for it is all here now.
    mutating func wake() -> (Waiter, Frame)? {
        isWakeDue = false
        if count <= 1 { isBurst = false }
        guard let reader = unsafe waiter, let frame = take() else { return nil }
        unsafe waiter = nil
        return unsafe (reader.continuation, frame)
    }

    /// The next frame, if there is one and its answer would have room.
    mutating func take() -> Frame? {
        guard next < frames.count, !isBlocked || end != nil else { return nil }
        var frame = Self.noFrame
        // What has been read must not stay here until all has.
        swap(&frame, &frames[next])
        next += 1
        bytes -= frame.bytes.count
        if next == frames.count {
            frames.removeAll(keepingCapacity: true)
            next = 0
        } else if next >= Self.highWaterFrames {
            frames.removeFirst(next)
            next = 0
        }
        if isPaused, count <= Self.lowWaterFrames, bytes <= Self.lowWaterBytes, end == nil { resume() }
        return frame
    }

    /// What reading comes to at the end: nothing after a closing handshake, an error after anything else.
    static func outcome(_ event: CloseEvent) -> Result<Frame?, any Error> {
        switch event.initiator {
        case .peer, .handler, .reload, .shutdown:
            event.code == .abnormalClosure ? .failure(ConnectionLost(event: event)) : .success(nil)
        case .gateway, .transport, nil: .failure(ConnectionLost(event: event))
        }
    }
}
