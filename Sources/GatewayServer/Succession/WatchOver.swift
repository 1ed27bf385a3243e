import CLinux
package import GatewayIO
import Glibc

/// What is left of a process whose place another program has taken: no handlers, no threads, no listeners. Whoever started
/// the gateway goes on knowing it by this process, which
///
/// - hands signals on to the program that serves,
/// - starts the next one where it is asked to, as its own child, so that it can go on so,
/// - reaps whoever is left to it, as process 1 has to,
/// - and ends as the program that serves ends: with its status, or of its signal.
package struct WatchOver: ~Copyable {
    /// A program that this process has started, or divided itself from.
    private final class Child {
        let process: pid_t
        var link: SuccessionLink
        /// Who asked for it.
        let asker: pid_t?
        /// Of the program that it asks for next.
        var file: HeldProgram?
        /// That program, as long as the one before the asker is not known to have ended, which the asker has noticed first.
        var waiting: (program: ChildProgram, descriptors: PassedDescriptors)?
        /// Readable once it has ended; none where the kernel has no such thing, and SIGCHLD has to do.
        private let ending: FileDescriptor

        init(_ process: pid_t, _ socket: consuming DescriptorSocket, asker: pid_t?) throws(Errno) {
            (self.process, self.asker) = (process, asker)
            link = try SuccessionLink(socket)
            ending = FileDescriptor(adopting: clinux_process_descriptor(process))
        }

        func watch(with poller: borrowing Poller) throws(Errno) {
            try poller.add(link.number, token: UInt64(process), interest: .readable)
            if ending.number >= 0 { try poller.add(ending.number, token: UInt64(process), interest: .readable) }
        }
    }

    /// How long programs may take to end that do not serve any more, once the one that serves has ended.
    private static let patience: UInt64 = 10_000_000_000
    /// What a child has to decide by itself, or has no meaning for it: its children, its terminal, its pipes.
    private static let own: Set<Int32> = [
        SIGCHLD, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGWINCH, SIGURG, SIGIO,
    ]
    /// Faults are nobody else's, and cannot wait.
    private static let faults: Set<Int32> = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGKILL, SIGSTOP]

    private let signals: FileDescriptor
    private let poller: Poller
    private var children: [pid_t: Child] = [:]
    private var serving: pid_t
    /// Who goes on should the one that serves end before it has handed everything over.
    private var heir: pid_t?
    /// Signals that ask for the end and have been handed to the one that serves: one that hands over may not have read them.
    private var askedFor: Set<Int32> = []
    /// How those ended that the one that serves had had started: word that one of them serves may come behind its end.
    private var ended: [pid_t: clinux_end] = [:]
    /// How the one that served ended; then only the end of the others is waited for.
    private var end: clinux_end?
    private var deadline: UInt64?

    /// Goes on as that: to be called by the only thread, with every signal blocked.
    ///
    /// - Parameters:
    ///   - process: the child that serves.
    ///   - socket: our end of the way to it.
    private init(_ process: pid_t, _ socket: consuming DescriptorSocket) throws(Errno) {
        let numbers = (1...64).filter { !Self.faults.contains($0) }
        let descriptor = unsafe clinux_watch_signals(numbers, Int32(numbers.count))
        guard descriptor >= 0 else { throw Errno.last }
        let signals = FileDescriptor(adopting: descriptor)
        let poller = try Poller()
        let child = try Child(process, socket, asker: nil)
        try poller.add(signals.number, token: 0, interest: .readable)
        try child.watch(with: poller)
        self.signals = signals
        self.poller = poller
        serving = process
        children[process] = child
    }

    /// Watches over a child until it has ended, and ends as it does.
    ///
    /// - Parameter name: of this process, for `ps`.
    package static func run(_ process: Int32, _ socket: consuming DescriptorSocket, name: String) -> Never {
        // Whatever else was inherited would not end with the child: a listener, say, or a pipe.
        let number = socket.release()
        clinux_close_all_but(number)
        unsafe clinux_name_thread(name)
        do throws(Errno) {
            var watch = try WatchOver(process, DescriptorSocket(adopting: number))
            while true { try watch.turn() }
        } catch {
            complain("cannot watch over process \(process): \(error)")
            // Nobody would learn how it ended.
            _ = kill(process, SIGTERM)
            _exit(1)
        }
    }

    /// Where this is process 1, as in a container, goes on as its child, and leaves it behind as what process 1 has to be.
    /// To be called by the only thread, with every signal blocked.
    package static func leaveProcessOne(_ environment: inout SuccessionEnvironment) throws(Errno) {
        guard getpid() == 1 else { return }
        var pair = try DescriptorSocket.Pair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { preconditionFailure("a pair has two ends") }
        let process = clinux_fork()
        if process < 0 { throw Errno.last }
        if process > 0 { run(process, near, name: "gateway init") }
        environment.watchedOver(by: far)
    }

    /// The word on the command line that has a program do this; the number of the child and that of our end of the way to it
    /// follow. Nobody types it.
    package static let option = "--watch-over"

    /// Has this process become what watches over a child of it, as another program, that has nothing of this one's memory.
    /// All that has to end gracefully has ended: what other threads do stops in the middle.
    ///
    /// - Parameters:
    ///   - program: a file of a gateway.
    ///   - socket: our end of the way to the child.
    /// - Returns: why it could not; nothing has changed then.
    static func become(_ program: String, _ process: pid_t, _ socket: borrowing DescriptorSocket) -> Errno {
        let words = unsafe CStringList([program, option, "\(process)", "\(socket.number)"])
        defer { unsafe words.free() }
        guard fcntl(socket.number, F_SETFD, 0) == 0 else { return Errno.last }
        _ = unsafe execv(program, words.pointers)
        let error = Errno.last
        _ = fcntl(socket.number, F_SETFD, FD_CLOEXEC)
        return error
    }

    // MARK: Turns

    private mutating func turn() throws(Errno) {
        _ = try poller.wait(milliseconds: pause)
        for child in children.values { listen(to: child) }
        handOnSignals()
        reap()
        endOthers()
    }

    private var pause: Int32? {
        let now = Clock.monotonicNanoseconds()
        let next = (children.values.map { $0.link.retryAt } + [deadline]).compactMap { $0 }.min()
        return next.map { $0 <= now ? 0 : Int32(clamping: ($0 - now) / 1_000_000 + 1) }
    }

    private mutating func listen(to child: Child) {
        if child.link.hasEnded { return }
        do throws(SuccessionFailure) {
            for message in try child.link.turn() {
                switch message {
                case .start(let program, let descriptors): start(program, descriptors, for: child)
                case .programFile(let path, let descriptors): child.file = HeldProgram(path, descriptors)
                case .serves(let process): hand(over: pid_t(process), by: child)
                default: throw .frame("\"\(message.kind)\" is nothing that a program says to this process")
                }
            }
            // The answers.
            try child.link.flush()
        } catch {
            Self.complain("process \(child.process): \(error)")
            child.link.giveUp()
        }
    }

    private mutating func start(_ program: ChildProgram, _ descriptors: PassedDescriptors, for asker: Child) {
        if end == nil, asker.process == heir {
            asker.waiting = (program, descriptors)
            return
        }
        let file = asker.file
        asker.file = nil
        guard end == nil, asker.process == serving else {
            return asker.link.send(.notStarted("only the program that serves may have another one started"))
        }
        guard let predecessor = descriptors.take() else {
            return asker.link.send(.notStarted("its descriptor is missing"))
        }
        do throws(ChildProgram.Failure) {
            var program = program
            if let file { program.path = file.path }
            let (process, number) = try SuccessionEnvironment.start(
                program, predecessor: predecessor.number, from: file?.number)
            let socket = DescriptorSocket(adopting: number)
            do throws(Errno) {
                let child = try Child(process, socket, asker: asker.process)
                try child.watch(with: poller)
                children[process] = child
                ended[process] = nil
                asker.link.send(.started(process: UInt32(process)))
            } catch {
                _ = kill(process, SIGKILL)
                throw ChildProgram.Failure(description: "\(program.path) cannot be watched over: \(error)")
            }
        } catch {
            asker.link.send(.notStarted(error.description))
        }
    }

    private mutating func hand(over process: pid_t, by child: Child) {
        if end == nil, child.process == process, child.asker == serving {
            heir = process
            return
        }
        guard end == nil, child.process == serving, children[process] != nil || ended[process] != nil else {
            return Self.complain("process \(child.process) may not say that process \(process) serves")
        }
        begin(process)
        end = ended[process]
    }

    /// Another one serves from now on.
    private mutating func begin(_ process: pid_t) {
        (serving, heir) = (process, nil)
        for signal in askedFor { _ = kill(process, signal) }
        guard let child = children[process], let (program, descriptors) = child.waiting else { return }
        child.waiting = nil
        start(program, descriptors, for: child)
        // The answer.
        listen(to: child)
    }

    // MARK: Signals

    private mutating func handOnSignals() {
        var sender: pid_t = 0
        while case let number = unsafe clinux_next_signal_of(signals.number, &sender), number != 0 {
            if Self.own.contains(number) { continue }
            // What a terminal sends goes to the whole process group: who is in it has it already.
            if sender < 0, getpgid(serving) == getpgrp() { continue }
            if number == SIGTERM || number == SIGINT { askedFor.insert(number) }
            for process in end == nil ? [serving] : Array(children.keys) { _ = kill(process, number) }
        }
    }

    // MARK: Ends

    /// Nobody else reaps, so the number of a child is its own until here.
    private mutating func reap() {
        var last = clinux_end()
        while case let process = unsafe clinux_reap_any(&last), process > 0 {
            guard let child = children[process] else { continue }
            // Its last words may be that another one serves.
            listen(to: child)
            children[process] = nil
            if process == heir { heir = nil }
            if process != serving {
                ended[process] = last
            } else if let next = heir {
                begin(next)
            } else {
                end = last
            }
            if let asker = child.asker.flatMap({ children[$0] }) {
                asker.link.send(
                    .childEnded(process: UInt32(process), ChildEnd(signal: last.signal, status: last.status)))
                listen(to: asker)
            }
        }
    }

    /// Once the one that served has ended, the others end as well: what is left of an older program, or a younger one that
    /// was not ready.
    private mutating func endOthers() {
        guard let end else { return }
        if children.isEmpty { clinux_end_as(end) }
        let now = Clock.monotonicNanoseconds()
        if deadline == nil {
            deadline = now &+ Self.patience
            for process in children.keys { _ = kill(process, SIGTERM) }
        } else if let until = deadline, now >= until {
            // Their ends follow at once.
            deadline = now &+ Self.patience
            for process in children.keys { _ = kill(process, SIGKILL) }
        }
    }

    /// To standard error, in one piece; there is no log of this process.
    private static func complain(_ sentence: String) {
        var text = "gateway watching over: \(sentence)\n"
        _ = text.withUTF8 { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
