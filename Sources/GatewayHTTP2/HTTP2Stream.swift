import Bytes
package import GatewayIO
import Glibc
package import HTTP

/// One stream of a connection of HTTP/2, as a connection of its own: what the peer says in DATA is read, and what is written
/// leaves in DATA when the windows of the peer have room.
///
/// It keeps at most what the peer's window of this stream admits, and `roomForOutput`. The thread of its session alone.
package final class HTTP2Stream: TransportLayer {
    /// What is taken for the peer before it says that it has room.
    static let roomForOutput = 64 * 1024
    package let id: Int32
    /// What was asked for, as soon as its head has come.
    package internal(set) var request: RequestHead.HTTP2Request?
    /// The status and the fields that answered; of a client's.
    package internal(set) var response: FieldList?
    /// The last of those fields has come.
    package internal(set) var hasResponse = false
    /// The number of the connection that it is; 0 before there is one.
    package var owner: UInt64 = 0

    /// nil when the stream is over for nghttp2, which it is at the latest when the connection of HTTP/2 is cut off. Not weak:
    /// every reference to the session would cost more.
    private var session: HTTP2Session?
    private let buffer: SpareBuffer
    private let underlay: HTTP2Underlay
    /// The header list under way.
    var text: RequestText?
    /// Said by the session: it is in the list of those with news, of those with room.
    var (isTouched, isRoomy) = (false, false)

    // MARK: The state of each direction

    private var incoming = ByteBuffer()
    /// Where the unread part of it begins.
    private var incomingStart = 0
    /// How many of the bytes there count against the window: what stands for the head does not.
    private var uncounted = 0
    private var isPeerFinished = false
    private var isEndTold = false
    /// Why the peer, or the connection, broke it off.
    private var brokenBy: HTTP2Code?
    /// It was broken off: nothing that is written leaves any more.
    package var isBroken: Bool { brokenBy != nil }

    private var outgoing = ByteBuffer()
    private var outgoingStart = 0
    /// nghttp2 has asked for output and there was none.
    private var isDeferred = false
    /// A writer has been told that there is no room, or that not all has left.
    private var isAwaited = false
    private(set) var isFinishing = false
    private var isFinished = false
    /// A plain request ends with its answer; the end of what the client sends before that means nothing.
    private var isExchange: Bool { request != nil && request != .webSocket }
    private var resets = false
    private(set) var hasAnswered = false

    init(id: Int32, _ session: HTTP2Session) {
        self.id = id
        self.session = session
        buffer = session.buffer
        underlay = session.underlay
        super.init()
    }

    // MARK: In

    private var unread: Int { incoming.count - incomingStart }

    /// - Parameter isCounted: it came in DATA.
    func receive(_ bytes: UnsafeRawBufferPointer, isCounted: Bool = true) {
        if incomingStart > 0, incomingStart == incoming.count { dropRead() }
        if !isCounted { uncounted += bytes.count }
        buffer.lend(to: &incoming)
        unsafe incoming.append(bytes)
    }

    /// The peer will send nothing more.
    func finishReceiving() { isPeerFinished = true }

    /// The stream is over for nghttp2.
    func end(_ code: HTTP2Code) {
        if code != .noError || !isPeerFinished || !isFinished { brokenBy = code }
        // Nobody takes it any more.
        outgoing.free()
        outgoingStart = 0
        session = nil
    }

    private func dropRead() {
        buffer.takeBack(&incoming)
        incomingStart = 0
    }

    package override var hasInput: Bool { unread > 0 || !isEndTold && (endsInput || brokenBy != nil) }

    private var endsInput: Bool { isPeerFinished && (!isExchange || isFinishing) }

    package override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if unsafe buffer.isEmpty { return .moved(0) }
        if unread > 0 {
            let count = min(unread, buffer.count)
            unsafe buffer.copyMemory(
                from: UnsafeRawBufferPointer(rebasing: incoming.bytes[incomingStart..<(incomingStart + count)]))
            incomingStart += count
            if incomingStart == incoming.count { dropRead() }
            let free = min(uncounted, count)
            uncounted -= free
            session?.consume(count - free, of: self)
            return .moved(count)
        }
        if brokenBy != nil {
            isEndTold = true
            return .failed(Errno(ECONNRESET))
        }
        if endsInput {
            isEndTold = true
            return .endOfStream
        }
        return .wouldBlock
    }

    // MARK: Out

    private var unsent: Int { outgoing.count - outgoingStart }

    package override var isDrained: Bool {
        if unsent == 0 || brokenBy != nil { return true }
        isAwaited = true
        return false
    }

    package override var bytesKept: Int { incoming.capacity + outgoing.capacity }

    package override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        guard let session, !isFinishing else { return .failed(Errno(EPIPE)) }
        let count = min(bytes.count, Self.roomForOutput - unsent)
        if count <= 0 {
            isAwaited = true
            return .wouldBlock
        }
        if outgoingStart > Self.roomForOutput / 2 {
            outgoing.removeFirst(outgoingStart)
            outgoingStart = 0
        }
        buffer.lend(to: &outgoing)
        unsafe outgoing.append(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        if count < bytes.count { isAwaited = true }
        offer(to: session)
        return .moved(count)
    }

    private func offer(to session: HTTP2Session) {
        if isDeferred {
            isDeferred = false
            session.resume(self)
        }
        session.noteOutput()
    }

    package override func finishSending(_ socket: borrowing Socket) {
        guard !isFinishing, let session else { return }
        isFinishing = true
        offer(to: session)
        // The end of a plain request, which was held back.
        if endsInput, !isEndTold { session.touch(self) }
    }

    /// What the next frame of DATA will have, if so much is allowed; `send` follows.
    ///
    /// - Returns: how many bytes, and whether the stream ends with them; nil when there is nothing.
    func offer(atMost room: Int) -> (count: Int, isLast: Bool)? {
        let count = min(unsent, room)
        if count == 0, !isFinishing {
            isDeferred = true
            return nil
        }
        return (count, isFinishing && count == unsent)
    }

    /// A frame of DATA takes bytes that it was offered.
    func send(_ count: Int, _ give: (UnsafeRawBufferPointer) -> Void) {
        if count > 0 {
            unsafe give(UnsafeRawBufferPointer(rebasing: outgoing.bytes[outgoingStart..<(outgoingStart + count)]))
            outgoingStart += count
        }
        if unsent == 0 {
            buffer.takeBack(&outgoing)
            outgoingStart = 0
        }
        if isAwaited, unsent <= Self.roomForOutput / 2 {
            // Whoever waits for the end of it asks again.
            isAwaited = false
            session?.noteRoom(self)
        }
        isFinished = isFinishing && unsent == 0
    }

    // MARK: Answers

    /// The head of the answer, once; what is written is its body.
    package func answer(_ fields: FieldList) {
        hasAnswered = true
        session?.answer(self, fields)
    }

    /// An answer that is followed by another one (RFC 9110 15.2).
    package func inform(_ fields: FieldList) { session?.inform(self, fields) }

    // MARK: The end

    /// It was never looked at, and may be tried again (RFC 9113 8.7).
    package func refuse() {
        isLeft = true
        session?.reset(self, .refusedStream)
    }

    package override func resetOnClose() { resets = true }

    /// The connection that it is has gone: of what it was given, it sends what it can, and nothing is read any more.
    package override func close() {
        guard let session else { return }
        session.consume(unread - uncounted, of: self)
        incoming.free()
        (incomingStart, uncounted) = (0, 0)
        isLeft = true
        owner = 0
        if resets || !hasAnswered || unsent > 0 && !isFinishing { return session.reset(self, .cancel) }
        if !isFinishing {
            isFinishing = true
            offer(to: session)
        }
        // RFC 9113 8.1: behind a whole answer a client is asked in this way to send nothing more.
        if isOneSided { session.reset(self, .noError) }
    }

    /// Nobody is here any more who reads it.
    private(set) var isLeft = false
    /// That was so already when the session looked last.
    var isAbandoned = false
    /// It is left, its end has been sent, and the peer may go on for ever.
    var isOneSided: Bool { isLeft && isFinished && !isPeerFinished }

    // MARK: What it shares with the others

    package override var security: TransportSecurity? { underlay.security }
    package override var peerAddress: SocketAddress? { underlay.peer }
    package override var localAddress: SocketAddress? { underlay.local }
    package override var failure: String? {
        brokenBy.map { "HTTP/2: the stream was reset (\($0.name))" }
    }
}

/// What the connection under a session has agreed on, and who is at its ends.
package struct HTTP2Underlay {
    package var peer: SocketAddress?
    package var local: SocketAddress?
    package var security: TransportSecurity?

    package init(peer: SocketAddress? = nil, local: SocketAddress? = nil, security: TransportSecurity? = nil) {
        (self.peer, self.local, self.security) = (peer, local, security)
    }
}
