import CLinux
import GatewayIO
import Glibc

/// The process of a program that is to take over, as the one that serves sees it: its own child or, where a process watches
/// over this one, a child of that. It belongs to the control thread, and never waits.
///
/// What the two have to say to each other goes over the link that the owner keeps the other end of.
final class SuccessorProcess {
    enum News: Equatable {
        case started(pid_t)
        /// There is none, or none any more: how that came.
        case gone(String)
    }

    /// Its parent.
    private enum Parent {
        /// This process, with the way to the child and something that is readable when it has ended.
        case own(DescriptorSocketBox, ending: FileDescriptorBox)
        case supervisor(SupervisorPipe)
        /// The first process, which looks after it.
        case first
    }

    /// A socket in a class, for an enum.
    private final class DescriptorSocketBox {
        let socket: DescriptorSocket
        init(_ number: Int32) { socket = DescriptorSocket(adopting: number) }
    }

    private final class FileDescriptorBox {
        let descriptor: FileDescriptor
        init(_ number: Int32) { descriptor = FileDescriptor(adopting: number) }
    }

    private let path: String
    private let parent: Parent
    private(set) var process: pid_t?
    private var hasEnded = false
    /// How it did, where this process has reaped it.
    private var reaped: clinux_end?
    /// It has taken over.
    private var isServing = false
    private var unsaid: [News] = []

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - held: its file, where something else lies at its path by now.
    ///   - far: its end of the way between the two programs.
    ///   - supervisor: the way to the process that watches over this one, whose news the owner passes on to `hear`.
    init(
        _ program: ChildProgram, from held: HeldProgram? = nil, _ far: consuming DescriptorSocket,
        supervisor: SupervisorPipe?
    ) throws(ChildProgram.Failure) {
        path = program.path
        if let supervisor {
            parent = .supervisor(supervisor)
            try supervisor.start(program, from: held, predecessor: far)
            return
        }
        let (process, socket) = try SuccessionEnvironment.start(
            program, predecessor: far.number, from: held?.number)
        self.process = process
        parent = .own(DescriptorSocketBox(socket), ending: FileDescriptorBox(clinux_process_descriptor(process)))
        unsaid.append(.started(process))
    }

    /// Another process of the same handler, which is nobody's affair here.
    init() { (path, parent) = ("the next process", .first) }

    /// A program that is not to take over ends with this.
    deinit { if !isServing { kill() } }

    /// Readable when there is something to step for; those of the supervisor are its owner's.
    var descriptors: [Int32] {
        switch parent {
        case .own(_, let ending): ending.descriptor.number >= 0 && !hasEnded ? [ending.descriptor.number] : []
        case .supervisor, .first: []
        }
    }

    /// News of the supervisor that are about this process; others are left alone.
    func hear(_ event: SupervisorPipe.Event) {
        switch event {
        case .started(let number) where process == nil:
            process = number
            unsaid.append(.started(number))
        case .notStarted(let reason) where process == nil: end(reason)
        case .ended(let number, let end) where process == number: self.end("\(path), process \(number), \(end)")
        case .gone(let reason): end("the process that watches over this one: \(reason)")
        case .started, .notStarted, .ended: break
        }
    }

    /// What has happened since the last call.
    func step() -> [News] {
        look()
        defer { unsaid = [] }
        return unsaid
    }

    private func look() {
        guard case .own = parent, let process, !hasEnded else { return }
        var end = clinux_end()
        let answer = unsafe clinux_reap(process, 0, &end)
        if answer > 0 {
            reaped = end
            self.end("\(path), process \(process), \(ChildEnd(signal: end.signal, status: end.status))")
        }
        if answer < 0 { self.end("\(path), process \(process), has gone: \(Errno.last)") }
    }

    private func end(_ reason: String) {
        if hasEnded { return }
        hasEnded = true
        unsaid.append(.gone(reason))
    }

    /// Has it end at once: it is not to take over.
    func kill() {
        guard let process, !hasEnded else { return }
        hasEnded = true
        switch parent {
        case .own: ChildProgram.endAtOnce(process)
        // Whoever reaps it is not this process; until then the number is its own, or it has ended and is told of soon.
        case .supervisor: _ = Glibc.kill(process, SIGKILL)
        case .first: break
        }
    }

    // MARK: After it has taken over

    /// From now on its end is the end of the gateway, and signals go to it. Where this process is its parent it has to hand
    /// them on by itself (`handOn`) until it can become the process that watches.
    func tellServing() {
        isServing = true
        guard let process, case .supervisor(let supervisor) = parent else { return }
        supervisor.tellServing(process)
    }

    /// Whether this process has to stay when it has nothing more to do, since whoever started it knows the gateway by it.
    var isOwnChild: Bool {
        if case .own = parent { return true }
        return false
    }

    /// Hands a signal on.
    func handOn(_ signal: Int32) {
        guard let process, !hasEnded else { return }
        _ = Glibc.kill(process, signal)
    }

    /// The end of this program, whose place the child has taken: this process becomes what watches over it, as another
    /// program where that works, or else as it is. Every thread but this one stops in the middle of what it does.
    func watchOver() -> Never {
        guard let process, case .own(let box, _) = parent else {
            preconditionFailure("only a parent becomes the process that watches")
        }
        // It was told to end at the same time, and was faster.
        if let reaped { clinux_end_as(reaped) }
        let error = WatchOver.become(path, process, box.socket)
        Log.line("warning: \(path) cannot watch over the program that serves: \(error); this process does")
        Log.finish()
        WatchOver.run(process, DescriptorSocket(adopting: dup(box.socket.number)), name: "gateway watch")
    }
}
