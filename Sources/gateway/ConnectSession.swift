import CLinux
import GatewayIO
import GatewayLoad
import Glibc

/// A conversation over one WebSocket: lines of the standard input go out, what comes is written to the standard output.
struct ConnectSession: ~Copyable {
    struct Plan {
        /// People sit at both ends of it.
        let isInteractive: Bool
        let view: MessageView
        /// How long it stays when the input has ended; nil = until the server closes.
        let lingeringMilliseconds: Int64?
    }

    /// Bytes on their way out above which nothing more is read.
    private static let mostWaiting = 1 << 20
    /// How long the server's half of the closing handshake is waited for.
    private static let closeTimeout: UInt64 = 5_000_000_000
    private static let prompt = "> "

    private var connection: ClientConnection
    private let plan: Plan
    private let url: String
    private var view: MessageView
    private var editor: LineEditor
    private var history: LineHistory
    /// Of a pipe: what has come of a line.
    private var partial: [UInt8] = []
    private var isInputOver = false
    /// When it closes, or gives up closing; by the monotonic clock.
    private var deadline: UInt64?
    /// When each ping that waits for its pong was sent.
    private var pings: [(payload: [UInt8], at: UInt64)] = []
    private var isPromptShown = false
    private var status: Int32?

    init(_ connection: consuming ClientConnection, _ plan: Plan, url: String) {
        self.connection = connection
        self.plan = plan
        self.url = url
        view = plan.view
        history = LineHistory()
        editor = LineEditor(history: history.lines)
    }

    /// - Returns: the exit status.
    mutating func run() -> Int32 {
        // The terminal is restored whatever ends this.
        let numbers = [SIGTERM, SIGINT, SIGHUP, SIGWINCH]
        let signals = FileDescriptor(adopting: unsafe clinux_watch_signals(numbers, Int32(numbers.count)))
        let mode = plan.isInteractive ? TerminalMode(of: STDIN_FILENO) : nil
        if plan.isInteractive { begin() }
        // What came with the answer to the handshake is here already.
        receive()
        while status == nil {
            if plan.isInteractive { drawPrompt() }
            turn(signals.number)
        }
        if plan.isInteractive {
            clearPrompt()
            Terminal.draw("\u{1B}[?2004l")
            history.save()
        }
        _ = consume mode
        return status ?? ExitStatus.ok
    }

    private func begin() {
        var facts = [url] + connection.agreements
        if let agreed = connection.answer?["sec-websocket-protocol"] { facts.insert("subprotocol \(agreed)", at: 1) }
        // Bracketed paste: what is pasted comes between marks, so that its lines are one message.
        Terminal.draw("\u{1B}[?2004h" + view.painted("connected: \(facts.joined(separator: "; "))", "2") + "\n")
        Terminal.draw(view.painted("/help says what can be typed, Ctrl-D ends it", "2") + "\n")
    }

    // MARK: The loop

    private mutating func turn(_ signals: Int32) {
        let takesInput = !isInputOver && !connection.isClosing && connection.waiting < Self.mostWaiting
        var events = Int16(POLLIN)
        if connection.wantsWrite { events |= Int16(POLLOUT) }
        var entries = [
            pollfd(fd: connection.number, events: events, revents: 0),
            pollfd(fd: takesInput ? STDIN_FILENO : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
        ]
        let count = unsafe poll(&entries, 3, timeout())
        if count < 0, errno != EINTR { return end(ExitStatus.failure, "cannot wait: \(Errno.last)") }
        if entries[2].revents != 0 { hear(clinux_next_signal(signals)) }
        if entries[1].revents != 0 { readInput() }
        if entries[0].revents != 0 || connection.hasInput { receive() }
        flush()
        checkTime()
    }

    private func timeout() -> Int32 {
        if connection.hasInput { return 0 }
        guard let deadline else { return -1 }
        let now = Clock.monotonicNanoseconds()
        return now >= deadline ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
    }

    private mutating func checkTime() {
        guard status == nil, let deadline, Clock.monotonicNanoseconds() >= deadline else { return }
        if connection.isClosing { return end(ExitStatus.failure, "the server did not answer the Close within 5 s") }
        beginClosing(1000)
    }

    private mutating func hear(_ signal: Int32) {
        // A change of size only has the line drawn again.
        if signal == SIGWINCH { isPromptShown = false }
        if signal == SIGWINCH || signal == 0 { return }
        if connection.isClosing { return end(128 + signal, nil) }
        beginClosing(1001)
    }

    private mutating func beginClosing(_ code: UInt16?, _ reason: String = "") {
        connection.close(code, reason)
        deadline = Clock.monotonicNanoseconds() + Self.closeTimeout
    }

    private mutating func end(_ status: Int32, _ complaint: String?) {
        if self.status != nil { return }
        clearPrompt()
        if let complaint { Terminal.complain("error: \(complaint)") }
        self.status = status
    }

    private mutating func flush() {
        guard status == nil else { return }
        do throws(ClientConnection.Failure) {
            try connection.flush()
        } catch {
            // What the server said last may be here and tell why.
            receive()
            end(ExitStatus.failure, Self.text(error))
        }
    }

    // MARK: What comes

    private mutating func receive() {
        guard status == nil else { return }
        let wasClosing = connection.isClosing
        do throws(ClientConnection.Failure) {
            for event in try connection.receive() { show(event, wasClosing) }
        } catch {
            // The Close that tells the server why.
            try? connection.flush()
            return end(ExitStatus.failure, Self.text(error))
        }
        if status == nil, connection.isEnded, !connection.hasInput {
            end(ExitStatus.failure, "the connection ended without a Close (1006)")
        }
    }

    private mutating func show(_ event: ClientConnection.Event, _ wasClosing: Bool) {
        var roundTrip: UInt64?
        if case .pong(let payload) = event, let index = pings.firstIndex(where: { $0.payload == payload }) {
            roundTrip = Clock.monotonicNanoseconds() - pings[index].at
            pings.removeSubrange(...index)
        }
        let bytes = view.received(event, at: TimeOfDay.now(), roundTrip: roundTrip)
        if !bytes.isEmpty {
            clearPrompt()
            Terminal.draw(bytes)
        }
        guard case .close(let code, let reason) = event else { return }
        try? connection.flush()
        connection.finishSending()
        let isFine = wasClosing || CloseMeaning.isFine(code)
        // People have seen it already.
        let isSaid = isFine || plan.view.form == .readable
        end(
            isFine ? ExitStatus.ok : ExitStatus.failure,
            isSaid ? nil : "the server ended it: \(MessageView.close(code, reason))")
    }

    private static func text(_ failure: ClientConnection.Failure) -> String {
        switch failure {
        case .unreachable(let sentence), .broken(let sentence): sentence
        case .refused(let answer): MessageView.refusal(answer)
        }
    }

    // MARK: What goes

    private mutating func readInput() {
        var room = [UInt8](repeating: 0, count: 65536)
        let count = unsafe room.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR || errno == EAGAIN { return }
        guard count > 0 else { return endInput() }
        if plan.isInteractive {
            for byte in room[..<count] where status == nil { press(byte) }
        } else {
            partial += room[..<count]
            sendLines()
        }
    }

    /// Each line of a pipe is a message.
    private mutating func sendLines() {
        var start = 0
        while let end = partial[start...].firstIndex(of: 0x0A) {
            send(Array(partial[start..<end]))
            start = end + 1
        }
        partial.removeFirst(start)
    }

    private mutating func send(_ line: [UInt8]) {
        // RFC 6455 5.6: a text is UTF-8; what is not goes as what it is, bytes.
        if String(validating: line, as: UTF8.self) != nil {
            connection.send(text: line)
        } else {
            connection.send(binary: line)
        }
    }

    private mutating func endInput() {
        isInputOver = true
        if !partial.isEmpty { send(partial) }
        partial = []
        if plan.isInteractive { return beginClosing(1000) }
        guard let wait = plan.lingeringMilliseconds else { return }
        if wait == 0 { return beginClosing(1000) }
        deadline = Clock.monotonicNanoseconds() + UInt64(clamping: wait) * 1_000_000
    }

    private mutating func press(_ byte: UInt8) {
        switch editor.feed(byte) {
        case .edited: isPromptShown = false
        case .interrupt, .endOfInput: beginClosing(1000)
        case .clearScreen:
            Terminal.draw("\u{1B}[2J\u{1B}[H")
            isPromptShown = false
        case .line(let line):
            // What was typed stays on the screen as it was.
            drawPrompt(line)
            Terminal.draw("\n")
            isPromptShown = false
            if line.isEmpty { return }
            if history.add(line) { editor.remember(line) }
            obey(ConnectInput(line))
        }
    }

    private mutating func obey(_ input: ConnectInput) {
        switch input {
        case .text(let text): connection.send(text: Array(text.utf8))
        case .binary(let bytes): connection.send(binary: bytes)
        case .file(let path):
            do throws(DevCertFailure) {
                guard let bytes = try WrittenFile(path: path).read() else { return say("there is no file \(path)") }
                connection.send(binary: bytes)
            } catch {
                say(error.sentence)
            }
        case .ping(let payload):
            pings.append((payload, Clock.monotonicNanoseconds()))
            connection.ping(payload)
        case .close(let code, let reason): beginClosing(code, reason)
        case .showPings(let yes): view.showsPings = yes
        case .help: say(ConnectInput.instructions)
        case .mistake(let sentence): say(sentence)
        }
    }

    // MARK: The screen

    private mutating func say(_ text: String) {
        clearPrompt()
        Terminal.draw(view.painted(text, "33") + "\n")
    }

    /// Draws the line that is being typed, where it is not there already.
    private mutating func drawPrompt() {
        guard !isPromptShown, status == nil, !connection.isClosing else { return }
        let width = TerminalMode.size(of: STDOUT_FILENO).columns
        let (text, column) = editor.shown(width: width - Self.prompt.utf8.count)
        let place = Self.prompt.utf8.count + column
        Terminal.draw("\r\u{1B}[K" + Self.prompt + text + "\r" + (place > 0 ? "\u{1B}[\(place)C" : ""))
        isPromptShown = true
    }

    private func drawPrompt(_ line: String) {
        let front = view.painted(TimeOfDay.now(), "2") + " " + view.painted(">", "1;32") + " "
        let shown = line.map { ScreenText.cell($0).text }.joined()
        Terminal.draw("\r\u{1B}[K" + front + shown)
    }

    private mutating func clearPrompt() {
        guard plan.isInteractive else { return }
        Terminal.draw("\r\u{1B}[K")
        isPromptShown = false
    }
}
