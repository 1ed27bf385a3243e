import CLinux
import GatewayConfiguration
import GatewayIO
import Glibc
import Synchronization

/// Writes the lines of all threads to a descriptor, on a thread of its own, so that no other thread waits for the
/// reader, or for a disk.
///
///     append ─▶ filling ══swap══▶ writing ─▶ write(2)
///
/// Two buffers of a fixed size: what finds no room is dropped and counted, and the count is said where the lines would
/// have stood.
final class LogWriter: Sendable {
    /// Standard error, of which there is one for a process.
    static let standardError = LogWriter(STDERR_FILENO)

    /// Bytes that wait at most, twice: a burst of some thousand lines.
    private static let room = 1 << 19
    /// Bytes of one write, as many as a pipe takes without mixing them with those of others (PIPE_BUF).
    private static let part = 4096

    private struct State {
        var filling: [UInt8] = []
        /// Lines since the last swap that found no room; after the first the rest of them go as well, so that the
        /// place of the gap is known.
        var dropped = 0
        var hasThread = false
        /// Everything has been written.
        var isIdle = true
    }

    /// Lines that the descriptor has not taken since it took some, because the disk is full, say.
    private struct Loss {
        var lines = 0
        var reason = Errno(0)
        /// The last line that was written ends in its middle.
        var isTorn = false

        /// What tells of it.
        var notice: String { "\(lines) \(lines == 1 ? "line" : "lines") could not be written: \(reason)" }
    }

    /// What the thread of a file is to do before it writes on.
    private struct Wish: OptionSet {
        let rawValue: Int
        /// Open the file by its name again.
        static let reopen = Wish(rawValue: 1)
        /// Close it once everything is written; a line that comes later opens it.
        static let close = Wish(rawValue: 2)
    }

    /// Nil for what is always open.
    private let path: String?
    /// -1 while the file is closed.
    private let descriptor: Atomic<Int32>
    private let wishes = Atomic(0)
    /// How the lines of this writer's own are written: 1 = JSON.
    let form = Atomic(0)
    private let lost = Atomic<UInt64>(0)
    private let state = Mutex(State())
    private let news = Semaphore()
    /// Counts what came of writing, to tell slow from stalled.
    private let progress = Atomic<Int>(0)
    /// Tells a thread that waits for the end of writing that some of it is done.
    private let written = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    private let isAwaited = Atomic(false)

    init(_ descriptor: Int32) {
        path = nil
        self.descriptor = Atomic(descriptor)
    }

    /// Appends to a file, once it has been opened.
    init(file path: String) {
        self.path = path
        descriptor = Atomic(-1)
    }

    deinit { _ = close(written) }

    /// Any thread: how many lines found no room, or were not taken, in all.
    var droppedLines: UInt64 { lost.load(ordering: .relaxed) }

    // MARK: Files

    /// Any thread: opens the file if it is closed, and makes it where there is none.
    func open() throws(Errno) {
        wishes.bitwiseAnd(~Wish.close.rawValue, ordering: .relaxed)
        guard let path, descriptor.load(ordering: .relaxed) < 0 else { return }
        let opened = try Self.open(path)
        // Another thread may have been first.
        let (exchanged, _) = descriptor.compareExchange(
            expected: -1, desired: opened, ordering: .acquiringAndReleasing)
        if !exchanged { _ = close(opened) }
    }

    /// Any thread: has the file opened by its name again before the next line is written.
    func reopen() { wish(.reopen) }

    /// Any thread: has the file closed when everything is written.
    func release() { wish(.close) }

    private func wish(_ wish: Wish) {
        guard path != nil else { return }
        wishes.bitwiseOr(wish.rawValue, ordering: .relaxed)
        let hadThread = state.withLock { state in
            defer { state.hasThread = true }
            return state.hasThread
        }
        news.signal()
        if !hadThread { start() }
    }

    /// A pipe that nobody reads is refused, and never waited for.
    private static func open(_ path: String) throws(Errno) -> Int32 {
        let opened = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0o640)
        guard opened >= 0 else { throw Errno.last }
        return opened
    }

    /// Opens the file again when that is wished, or when it was closed and there is something to write.
    private func prepare() {
        guard let path else { return }
        let isWished = wishes.bitwiseAnd(~Wish.reopen.rawValue, ordering: .relaxed).oldValue & Wish.reopen.rawValue != 0
        let former = descriptor.load(ordering: .relaxed)
        guard isWished ? former >= 0 : former < 0 && !state.withLock({ $0.isIdle }) else { return }
        do throws(Errno) {
            descriptor.store(try Self.open(path), ordering: .relaxed)
            if former >= 0 { _ = close(former) }
        } catch {
            // What was open stays so: those who look for lines find them in the file that was moved away.
            let told = LogWriter.standardError
            told.append(told.ownLine(.error, "the log \(path) cannot be opened: \(error)"))
        }
    }

    private func closeUnwanted() {
        guard path != nil, wishes.load(ordering: .relaxed) & Wish.close.rawValue != 0 else { return }
        wishes.bitwiseAnd(~Wish.close.rawValue, ordering: .relaxed)
        let former = descriptor.exchange(-1, ordering: .relaxed)
        if former >= 0 { _ = close(former) }
    }

    private func ownLine(_ level: Log.Level, _ message: String) -> String {
        LogLine(time: LogTime.now(), level: level, message: message)
            .text(form.load(ordering: .relaxed) == 1 ? .json : .text)
    }

    // MARK: Lines

    /// Any thread: takes a line without its end. Never waits for a reader.
    func append(_ line: String) {
        let (wasIdle, hadThread) = state.withLock { state in
            if state.dropped > 0 || state.filling.count + line.utf8.count >= Self.room {
                state.dropped += 1
                lost.add(1, ordering: .relaxed)
            } else {
                if state.filling.capacity < Self.room { state.filling.reserveCapacity(Self.room) }
                state.filling.append(contentsOf: line.utf8)
                state.filling.append(UInt8(ascii: "\n"))
            }
            defer { (state.isIdle, state.hasThread) = (false, true) }
            if state.isIdle { clinux_note_unwritten(1) }
            return (state.isIdle, state.hasThread)
        }
        if wasIdle { news.signal() }
        if !hadThread { start() }
    }

    /// Waits until everything is written, as long as it goes on: at most `patience` without progress, and ten times
    /// that in all. For the end of the process.
    func finish(patience milliseconds: UInt64) {
        isAwaited.store(true, ordering: .relaxed)
        defer { isAwaited.store(false, ordering: .relaxed) }
        let start = Clock.monotonicNanoseconds()
        var (last, changedAt) = (progress.load(ordering: .relaxed), start)
        while !state.withLock({ $0.isIdle }) {
            let (now, count) = (Clock.monotonicNanoseconds(), progress.load(ordering: .relaxed))
            if count != last { (last, changedAt) = (count, now) }
            let end = min(changedAt + milliseconds * 1_000_000, start + milliseconds * 10_000_000)
            guard now <= end else { return }
            var interest = pollfd(fd: written, events: Int16(POLLIN), revents: 0)
            _ = unsafe poll(&interest, 1, Int32(clamping: (end - now) / 1_000_000 + 1))
            var news: eventfd_t = 0
            _ = unsafe eventfd_read(written, &news)
        }
    }

    private func tellProgress() {
        progress.add(1, ordering: .relaxed)
        if isAwaited.load(ordering: .relaxed) { _ = eventfd_write(written, 1) }
    }

    private func start() {
        do throws(Errno) {
            try SystemThread(name: "log") { [self] in
                // An overflow of the stack can only be told on another one.
                _ = clinux_make_crash_stack()
                work()
            }.detach()
        } catch {
            // The next line tries again; this one waits for it.
            state.withLock { $0.hasThread = false }
        }
    }

    private func work() {
        var writing: [UInt8] = []
        var loss = Loss()
        while true {
            news.wait()
            prepare()
            while let dropped = take(&writing) {
                write(&writing, dropped: dropped, &loss)
                writing.removeAll(keepingCapacity: true)
            }
            closeUnwanted()
            tellProgress()
        }
    }

    /// Takes all lines; answers how many were dropped behind them, nil when there is nothing to write.
    private func take(_ writing: inout [UInt8]) -> Int? {
        state.withLock { state in
            guard !state.filling.isEmpty || state.dropped > 0 else {
                if !state.isIdle { clinux_note_unwritten(0) }
                state.isIdle = true
                return nil
            }
            swap(&state.filling, &writing)
            defer { state.dropped = 0 }
            return state.dropped
        }
    }

    private func write(_ lines: inout [UInt8], dropped: Int, _ loss: inout Loss) {
        if dropped > 0 { lines += (ownLine(.warn, Self.gap(dropped)) + "\n").utf8 }
        unsafe lines.withUnsafeBufferPointer { bytes in
            var rest = unsafe bytes[...]
            while unsafe !rest.isEmpty {
                let count = unsafe Self.nextPart(rest)
                unsafe write(UnsafeBufferPointer(rebasing: rest.prefix(count)), &loss)
                unsafe rest = rest.dropFirst(count)
            }
        }
    }

    /// Writes whole lines, or counts them as lost; that others were lost is said before.
    private func write(_ lines: UnsafeBufferPointer<UInt8>, _ loss: inout Loss) {
        if loss.lines > 0 {
            let notice = Array("\(loss.isTorn ? "\n" : "")\(ownLine(.warn, loss.notice))\n".utf8)
            let told = unsafe notice.withUnsafeBytes { unsafe put($0) }
            if told == notice.count { loss = Loss() } else if told > 0 { loss.isTorn = true }
        }
        let written = unsafe loss.lines > 0 ? 0 : put(UnsafeRawBufferPointer(lines))
        if written == lines.count { return }
        let end = UInt8(ascii: "\n")
        loss.reason = Errno.last
        let count = unsafe lines[written...].count { $0 == end }
        loss.lines += count
        lost.add(UInt64(count), ordering: .relaxed)
        if written > 0 { unsafe loss.isTorn = lines[written - 1] != end }
    }

    /// As many whole lines as go into one write; a longer line goes by itself.
    private static func nextPart(_ rest: Slice<UnsafeBufferPointer<UInt8>>) -> Int {
        let end = UInt8(ascii: "\n")
        if unsafe rest.count <= part { return unsafe rest.count }
        if let last = unsafe rest.prefix(part).lastIndex(of: end) { return unsafe last + 1 - rest.startIndex }
        return unsafe (rest.firstIndex(of: end) ?? rest.endIndex - 1) + 1 - rest.startIndex
    }

    /// - Returns: how many bytes were written; when not all, errno says why.
    private func put(_ bytes: UnsafeRawBufferPointer) -> Int {
        var written = 0
        while written < bytes.count {
            let count = unsafe Glibc.write(
                descriptor.load(ordering: .relaxed), bytes.baseAddress! + written, bytes.count - written)
            let error = Errno.last
            tellProgress()
            if count > 0 {
                written += count
            } else if error.code == EAGAIN {
                // Another process that shares the descriptor has made it non-blocking.
                var interest = pollfd(fd: descriptor.load(ordering: .relaxed), events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&interest, 1, -1)
            } else if error.code != EINTR {
                // Nobody reads any more, or the disk is full: serving goes on.
                errno = error.code
                break
            }
        }
        return written
    }

    /// What stands where so many lines are missing.
    static func gap(_ dropped: Int) -> String {
        "\(dropped) \(dropped == 1 ? "line was" : "lines were") dropped, the log was not read"
    }
}
