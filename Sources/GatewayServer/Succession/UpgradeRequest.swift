import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc

/// An upgrade that was asked for, up to the word of the new program that it could take over. It belongs to the control
/// thread.
///
///     copies of records ─▶ rehearsal ─▶ ready
///                                └─ going back: the program before lets go of its connections, and ends ─▶ ready
final class UpgradeRequest {
    enum Outcome {
        /// The program has rehearsed, and nobody else is beside this one.
        case ready
        /// This program goes on; why.
        case refused(String)
    }

    let program: SuccessorProgram
    /// What asked for it, for the log.
    let cause: String
    /// The client of the control socket that waits for its answer; nil for a signal.
    let client: UInt64?
    private var rehearsal: RehearsalProcess?
    /// Until it begins.
    private var copies: RecordCopies?
    private var hasRehearsed = false
    /// Connections that were with the program before are told to go.
    private(set) var hasLetGo = false
    /// When the rehearsal begins with what is there; and, once it is over, until when the program before has to end.
    private var deadline: UInt64

    /// How long a worker may be busy before a rehearsal goes without its connections, in nanoseconds.
    private static let patience: UInt64 = 2_000_000_000
    /// How long the program before may take to let go, in nanoseconds: its connections have six seconds, and its handlers may
    /// take their time to stop.
    private static let endPatience: UInt64 = 60_000_000_000

    /// Has the workers copy what would be handed over.
    init(_ program: SuccessorProgram, cause: String, client: UInt64?, _ server: Server) {
        (self.program, self.cause, self.client) = (program, cause, client)
        deadline = server.context.clock() &+ Self.patience
        let copies = RecordCopies(workers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.copyRecords(copies)) }
        self.copies = copies
    }

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? { copies == nil && !hasRehearsed ? nil : deadline }

    /// What there is to say of it, for `gateway status`.
    func note(_ successor: Successor?) -> String {
        guard hasRehearsed, let successor else { return "\(program.title) rehearses" }
        return "\(program.title) has rehearsed; the program before (process \(successor.before.process)) lets go of its"
            + " connections"
    }

    /// Goes on without waiting; nil while there is something to wait for.
    func step(_ server: Server, _ now: UInt64) -> Outcome? {
        if let copies, copies.isComplete || now >= deadline {
            self.copies = nil
            if let refusal = begin(copies, server) { return .refused(refusal) }
        }
        if let outcome = rehearsal?.step() {
            rehearsal = nil
            guard case .fine(let gateway, let said) = outcome else {
                if case .refused(let reason) = outcome { return .refused(reason) }
                return nil
            }
            if !said.isEmpty { server.log.info("upgrade: \(program.title) says:\n\(said)") }
            server.log.info("upgrade: gateway \(gateway) in \(program.title) has rehearsed")
            hasRehearsed = true
            deadline = now &+ Self.endPatience
            letGo(server)
        }
        guard hasRehearsed else { return nil }
        if let successor = server.successor, successor.isBeside {
            if now < deadline { return nil }
            return .refused(
                "the program before this one (process \(successor.before.process)) was told to let go of its connections,"
                    + " and has not ended")
        }
        guard !program.hasChanged else {
            return .refused("\(program.path) was replaced while it was rehearsed; ask again")
        }
        return .ready
    }

    /// Who is still beside this program makes room for the next one: that was asked for as nothing else would help, and is
    /// its own program again.
    private func letGo(_ server: Server) {
        guard let successor = server.successor, successor.isBeside else { return }
        hasLetGo = true
        let text = "process \(successor.before.process), the program before, is told to let go of its connections"
        server.log.info("upgrade (\(cause)): \(text)")
        if let client { server.control?.send(client, text + "\n") }
        successor.letPredecessorGo(server)
    }

    /// - Returns: why it cannot.
    private func begin(_ copies: RecordCopies, _ server: Server) -> String? {
        do throws(ChildProgram.Failure) {
            let records = SuccessionMessage.welcome(server.greeting).bytes + copies.bytes
            let begun = try RehearsalProcess(program, records: records)
            do throws(Errno) {
                for number in begun.descriptors { try server.loop.watch(number) }
            } catch {
                return "its rehearsal cannot be followed: \(error)"
            }
            rehearsal = begun
            return nil
        } catch {
            return error.description
        }
    }
}

extension Server {
    // MARK: The gateway's own program

    /// Has a new program rehearse; the answer comes when that is over, and all that follows.
    ///
    /// - Returns: what is said at once.
    func beginUpgrade(_ wanted: ControlCommand.Program, cause: String, client: UInt64?) -> ControlAnswer? {
        guard phase == .serving else { return refuseUpgrade("the gateway is \(phase.rawValue)", cause) }
        guard upgrade == nil, predecessor == nil else { return refuseUpgrade("another one is not over", cause) }
        if wanted != .before, let successor, successor.isBeside {
            return refuseUpgrade(
                "the program before this one (process \(successor.before.process)) has not ended", cause)
        }
        guard takeover == nil, !handlerManager.isBusy else { return refuseUpgrade("a reload is under way", cause) }
        do throws(SuccessorProgram.Refusal) {
            let program = try successorProgram(wanted)
            upgrade = UpgradeRequest(program, cause: cause, client: client, self)
            let text = "\(program.title) rehearses"
            log.info("upgrade (\(cause)): \(text)")
            if let client { control?.send(client, text + "\n") }
            return nil
        } catch {
            return refuseUpgrade(error.description, cause)
        }
    }

    private func successorProgram(
        _ wanted: ControlCommand.Program
    ) throws(SuccessorProgram.Refusal) -> SuccessorProgram {
        switch wanted {
        case .installed: return try SuccessorProgram(nil)
        case .file(let path): return try SuccessorProgram(path)
        case .before:
            if let program = successor?.programBefore { return try SuccessorProgram(goingBackTo: program) }
            let why =
                successor == nil
                ? "this program is the first since the start, and there is none before it"
                : "the program before did not hand its file on"
            throw SuccessorProgram.Refusal(description: "\(why); `gateway upgrade FILE` takes another one")
        }
    }

    /// - Parameter hasLetGo: connections of the program before are lost by it.
    func refuseUpgrade(_ reason: String, _ cause: String, hasLetGo: Bool = false) -> ControlAnswer {
        let what =
            hasLetGo
            ? "this program goes on, without the connections that were still with the program before"
            : "nothing was changed"
        log.warn("upgrade (\(cause)) refused, \(what): \(reason)")
        return ControlAnswer("error: upgrade refused, \(what): \(reason)", exit: 75)
    }

    /// Goes on with an upgrade that is under way, and hears what the process says that watches over this one.
    func stepUpgrade() {
        for event in supervisor?.turn(now: context.clock()) ?? [] { hear(event) }
        successor?.step(self, context.clock())
        stepPredecessor()
        guard let request = upgrade else { return }
        let isLate = phase != .serving
        guard
            let outcome: UpgradeRequest.Outcome = isLate
                ? .refused("the gateway is \(phase.rawValue)") : request.step(self, context.clock())
        else { return }
        upgrade = nil
        let answer: ControlAnswer
        switch outcome {
        case .refused(let reason): answer = refuseUpgrade(reason, request.cause, hasLetGo: request.hasLetGo)
        case .ready:
            do throws(ChildProgram.Failure) {
                return try beginSuccession(request)
            } catch {
                answer = refuseUpgrade(error.description, request.cause, hasLetGo: request.hasLetGo)
            }
        }
        if let client = request.client { control?.answer(client, answer) }
    }

    private func hear(_ event: SupervisorPipe.Event) {
        predecessor?.process.hear(event)
        guard case .gone(let reason) = event, phase != .stopping else { return }
        if let successor, !successor.mayServe {
            log.error("the process that watches over this one has gone (\(reason)), before this one serves: it ends")
            endUnserved()
        }
        // Whoever started the gateway knows it by that process, and holds it for ended.
        log.warn("the process that watches over this one has gone (\(reason)): the gateway ends as well")
        beginStopping()
    }
}
