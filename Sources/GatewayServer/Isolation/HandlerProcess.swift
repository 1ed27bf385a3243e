import CLinux
import GatewayConfiguration
import GatewayIO
import Glibc
import HandlerModules

/// A process that serves a handler by itself: this program, started once more, with a module, the configuration, and the
/// connections that it is given. It belongs to the control thread of the first process, and never waits.
package final class HandlerProcess {
    /// The first word of the command line of such a process.
    package static let option = "--handler"

    enum News {
        /// It has loaded its module.
        case loaded(SuccessionMessage.LoadedHandler)
        /// It serves.
        case serving
        case taken([UInt64])
        case ended([UInt64])
        /// For members of a topic of the gateway as a whole.
        case publication(SuccessionMail.Publication)
        /// What it has counted.
        case tally(ProcessTally)
        /// What an instance knows of itself.
        case state(SuccessionMessage.InstanceState)
        /// It has looked at all connections that it is to hand over.
        case handedOver(SuccessionMessage.Remaining)
        /// It gives nobody any more to a process that has gone.
        case kept
        /// Nothing comes any more from the process whose connections it takes over.
        case alone
        /// What it was asked for.
        case answer(ProcessAnswer)
        /// Somebody wants it to end.
        case wantsRelief
        /// It is of no use, and says why.
        case useless(String)
        /// It has gone.
        case gone(ChildEnd)
    }

    let number: pid_t
    /// What it has written down of its connections.
    let ledger: FileDescriptor
    private var link: SuccessionLink
    private let ending: FileDescriptor
    private var hasGone = false
    /// It has published for members in other processes.
    private(set) var hasPublished = false

    /// Starts one.
    ///
    /// - Parameters:
    ///   - configuration: as it is in effect.
    ///   - predecessor: the process whose connections it is to take over, at the other end; changes its owner.
    init(
        _ handler: String, _ module: GivenModule, _ configuration: Configuration, workers: Int, capacity: Int,
        program: String, predecessor: consuming DescriptorSocket?
    ) throws(ChildProgram.Failure) {
        do throws(Errno) {
            var pair = try DescriptorSocket.Pair()
            guard let near = pair.takeNear(), let far = pair.takeFar() else {
                preconditionFailure("a pair has two ends")
            }
            ledger = try Ledger.makeFile(workers: workers, capacity: capacity)
            let text = try MemoryFile.make("gateway.conf", Array(configuration.effectiveText(tellsSecrets: true).utf8))
            link = try SuccessionLink(near)
            var child = ChildProgram(path: program, arguments: [Self.option, handler, configuration.file])
            child.variables = [
                SuccessionEnvironment.firstProcessName: "3:\(getpid())",
                SuccessionEnvironment.ledgerName: "4:\(getpid())",
                SuccessionEnvironment.configurationName: "5:\(getpid())",
                SuccessionEnvironment.moduleName: module.text,
            ]
            var descriptors = [far.number, ledger.number, text.number]
            if let socket = predecessor.take() {
                child.variables[SuccessionEnvironment.predecessorName] = "6:\(getpid())"
                descriptors.append(socket.number)
                number = try Self.start(child, descriptors)
                _ = consume socket
            } else {
                number = try Self.start(child, descriptors)
            }
            ending = FileDescriptor(adopting: clinux_process_descriptor(number))
        } catch {
            throw ChildProgram.Failure(description: "a process for handler \"\(handler)\" cannot be started: \(error)")
        }
    }

    private static func start(_ child: ChildProgram, _ descriptors: [Int32]) throws(Errno) -> pid_t {
        do throws(ChildProgram.Failure) {
            return try child.start(descriptors)
        } catch {
            throw Errno.last
        }
    }

    deinit { if !hasGone { ChildProgram.endAtOnce(number) } }

    /// Readable when there is something to step for.
    var descriptors: [Int32] { [link.number] + (ending.number >= 0 ? [ending.number] : []) }

    var nextStep: UInt64? { link.retryAt }

    var isFull: Bool { link.isFull }

    // MARK: Saying something

    func send(_ message: SuccessionMessage) { link.send(message) }

    func give(_ item: IsolatedPort.Item) {
        link.send(.connection(.init(worker: item.worker, received: 0, record: item.record), item.socket))
    }

    /// Has it end at once.
    func kill(_ signal: Int32 = SIGKILL) { if !hasGone { _ = Glibc.kill(number, signal) } }

    // MARK: Steps

    /// Sends what can leave, and says what has happened since.
    func step(_ now: UInt64) -> [News] {
        if hasGone { return [] }
        // Looked at first: what it has said before its end lies in the socket by now.
        let end = reap()
        var news: [News] = []
        do throws(SuccessionFailure) {
            for message in try link.turn(now: now) {
                if case .publication = message { hasPublished = true }
                news.append(try Self.news(message))
            }
        } catch {
            news.append(.useless("it cannot be understood: \(error)"))
            link.giveUp()
        }
        if let end {
            hasGone = true
            news.append(.gone(end))
        }
        return news
    }

    private func reap() -> ChildEnd? {
        var end = clinux_end()
        let answer = unsafe clinux_reap(number, 0, &end)
        if answer > 0 { return ChildEnd(signal: end.signal, status: end.status) }
        return answer < 0 ? ChildEnd(signal: 0, status: -1) : nil
    }

    private static func news(_ message: SuccessionMessage) throws(SuccessionFailure) -> News {
        switch message {
        case .loaded(let loaded): return .loaded(loaded)
        case .serving: return .serving
        case .taken(let connections): return .taken(connections)
        case .ended(let connections): return .ended(connections)
        case .instanceState(let state): return .state(state)
        case .remaining(let remaining): return .handedOver(remaining)
        case .allSent: return .kept
        case .finish: return .alone
        case .publication(let publication): return .publication(publication.item)
        case .tally(let tally): return .tally(tally)
        case .answer(let answer): return .answer(answer)
        case .relieve: return .wantsRelief
        case .abort(let reason): return .useless(reason)
        default: throw .field(message: "\(message.kind)", reason: "this is not what the process of a handler says")
        }
    }
}
