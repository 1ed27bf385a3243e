import GatewayIO

/// The pair of sockets through which a connection goes that cannot be given away. The worker's own.
///
///     client ◀─ transport ◀─ outbox   ◀─ near ═ far ═ a copy of it ─▶ the process of the handler
///     client ─▶ transport ─▶ leftover ─▶ near
///
/// What one side does not take yet waits where it does of any connection, in the outbox or among the leftover, and the other
/// side is not read from before that has gone.
final class Relay {
    /// The end here. Without a number once nothing can come through it any more.
    private var near: Socket
    /// The other end, which is kept for the process that comes when this one dies.
    private var far: Socket
    /// What the poller was asked for of the end here.
    private var interest: Poller.Interest = []

    /// Over HTTP/2: what has come of the head of the answer. Nil behind that, and where the answer goes as it comes.
    var answer: RelayedAnswer?
    /// The process has said all that it ever will, and all of it has been read here.
    private(set) var isOutputOver = false
    /// The peer has been told that.
    var isEndTold = false
    /// Nothing more goes to the process: the peer's end has been passed on, or nobody is there who reads it.
    private(set) var isInputOver = false
    /// The way to the peer is broken. The place of the connection is kept until the process has heard of it.
    private(set) var isCutOff = false
    /// The process has let go of the connection, or is not waited for.
    private(set) var isLeft = false

    init() throws(Errno) {
        var pair = try DescriptorSocket.Pair()
        guard let one = pair.takeNear(), let other = pair.takeFar() else { preconditionFailure("a pair has two ends") }
        near = Socket(adopting: one.release())
        far = Socket(adopting: other.release())
    }

    /// Copies of it are what the process is given.
    var descriptor: Int32 { far.number }

    // MARK: The end here

    /// Asks the poller for what is waited for.
    func watch(_ wanted: Poller.Interest, as token: UInt64, _ poller: borrowing Poller) throws(Errno) {
        guard wanted != interest, near.number >= 0 else { return }
        if interest.isEmpty {
            try poller.add(near.number, token: token, interest: wanted)
        } else if wanted.isEmpty {
            // That both directions are over would be reported again and again.
            try poller.remove(near.number)
        } else {
            try poller.modify(near.number, token: token, interest: wanted)
        }
        interest = wanted
    }

    /// Reads once what the process has said.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if isOutputOver || near.number < 0 { return .endOfStream }
        let result = unsafe near.read(into: buffer)
        switch result {
        case .moved, .wouldBlock: break
        // Of a pair that fails only since the process has left something unread, which is no loss of what it has said.
        case .endOfStream, .failed:
            isOutputOver = true
            return .endOfStream
        }
        return result
    }

    /// Passes bytes on to the process.
    ///
    /// - Returns: how many of them are done with.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        var taken = 0
        while taken < bytes.count, !isInputOver {
            switch unsafe near.write(UnsafeRawBufferPointer(rebasing: bytes[taken...])) {
            case .moved(let count): taken += count
            case .wouldBlock: return taken
            // Nobody reads it any more.
            case .endOfStream, .failed: isInputOver = true
            }
        }
        return isInputOver ? bytes.count : taken
    }

    /// Passes on that the peer says nothing more.
    func finishInput() {
        if isInputOver { return }
        isInputOver = true
        near.finishSending()
    }

    /// Nothing more comes through it in either direction. Which of them it was the far end can tell.
    func closeIfOver() { if isInputOver, isOutputOver { near = Socket(adopting: -1) } }

    // MARK: The end of it

    /// Whether the process has asked for a reset in place of an orderly end: that is an option of the socket, of which it has
    /// a copy.
    var endsWithReset: Bool { far.resetsOnClose }

    /// The process has let go of the connection: what it has said and what is still on its way here are all there will be.
    func leave() {
        (isLeft, isInputOver) = (true, true)
        // A process that has been forked may have a copy for a while.
        far.endBoth()
        far = Socket(adopting: -1)
    }

    /// The way to the peer is broken: the process hears of a reset, behind what it has not read yet.
    func cutOff() {
        if isCutOff { return }
        (isCutOff, isInputOver, isOutputOver) = (true, true, true)
        // An end of a pair that is closed with something unread in it resets the other one.
        unsafe withUnsafeBytes(of: UInt8(0)) { _ = unsafe far.write($0) }
        // Where a process that has been forked has a copy it is an end for as long.
        near.endBoth()
        near = Socket(adopting: -1)
    }
}
