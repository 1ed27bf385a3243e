import GatewayIO
import Glibc

/// The way from a program that serves to the process that watches over it (`WatchOver`). It belongs to the control thread,
/// and never waits.
final class SupervisorPipe {
    enum Event: Equatable {
        case started(pid_t)
        case notStarted(String)
        /// The child that was asked for.
        case ended(pid_t, ChildEnd)
        /// The process that watches over this one has gone: whoever started the gateway holds it for ended.
        case gone(String)
    }

    private var link: SuccessionLink
    private var isGone = false

    init(_ socket: consuming DescriptorSocket) throws(Errno) { link = try SuccessionLink(socket) }

    /// The one that the environment names; nil where no process watches over this one.
    static func make(_ environment: inout SuccessionEnvironment) throws(Errno) -> SupervisorPipe? {
        guard let socket = environment.takeSupervisor() else { return nil }
        return try SupervisorPipe(socket)
    }

    /// For registration with the thread's own poller, as readable.
    var number: Int32 { link.number }

    /// When another turn is due even if nothing happens; nil = never.
    var deadline: UInt64? { link.retryAt }

    /// Asks for a child of the process there, with a way to the predecessor; `started` or `notStarted` is the answer.
    ///
    /// - Parameter held: its file, where something else lies at its path by now. A process there that knows nothing of that
    ///   starts it by way of this process's own descriptor, or says that it cannot.
    func start(
        _ program: ChildProgram, from held: HeldProgram? = nil, predecessor: consuming DescriptorSocket
    ) throws(ChildProgram.Failure) {
        var program = program
        if let held {
            do throws(Errno) {
                link.send(.programFile(path: held.path, try held.duplicate()))
            } catch {
                throw ChildProgram.Failure(description: "the file of \(held.path) cannot be handed on: \(error)")
            }
            program.path = "/proc/\(getpid())/fd/\(held.number)"
        }
        link.send(.start(program, PassedDescriptors(FileDescriptor(adopting: predecessor.release()))))
    }

    /// From now on the end of this child is the end of the gateway, and signals go to it.
    func tellServing(_ process: pid_t) { link.send(.serves(process: UInt32(process))) }

    /// What has come, after what was asked for has left.
    func turn(now: UInt64 = Clock.monotonicNanoseconds()) -> [Event] {
        if isGone { return [] }
        var events: [Event] = []
        do throws(SuccessionFailure) {
            for message in try link.turn(now: now) {
                switch message {
                case .started(let process): events.append(.started(pid_t(process)))
                case .notStarted(let reason): events.append(.notStarted(reason))
                case .childEnded(let process, let end): events.append(.ended(pid_t(process), end))
                default: throw .frame("\"\(message.kind)\" is nothing that a watching process says")
                }
            }
            guard link.hasEnded else { return events }
            events.append(.gone("it has ended"))
        } catch {
            events.append(.gone(error.description))
        }
        isGone = true
        return events
    }
}
