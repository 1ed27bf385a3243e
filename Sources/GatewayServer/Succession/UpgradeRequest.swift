import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc

/// An upgrade that was asked for, up to the word of the new program that it could take over. It belongs to the control
/// thread.
final class UpgradeRequest {
    let program: SuccessorProgram
    /// What asked for it, for the log.
    let cause: String
    /// The client of the control socket that waits for its answer; nil for a signal.
    let client: UInt64?
    private var rehearsal: RehearsalProcess?
    /// Until it begins.
    private var copies: RecordCopies?
    /// When it begins with what is there.
    private let deadline: UInt64

    /// How long a worker may be busy before a rehearsal goes without its connections, in nanoseconds.
    private static let patience: UInt64 = 2_000_000_000

    /// Has the workers copy what would be handed over.
    init(_ program: SuccessorProgram, cause: String, client: UInt64?, _ server: Server) {
        (self.program, self.cause, self.client) = (program, cause, client)
        deadline = server.context.clock() &+ Self.patience
        let copies = RecordCopies(workers: server.context.ports.count, bell: server.loop.bell)
        for port in server.context.ports { port.post(.copyRecords(copies)) }
        self.copies = copies
    }

    /// When it is to be stepped even if nothing happens.
    var nextStep: UInt64? { copies == nil ? nil : deadline }

    /// Goes on without waiting; nil while the rehearsal does.
    func step(_ server: Server, _ now: UInt64) -> RehearsalProcess.Outcome? {
        if let copies, copies.isComplete || now >= deadline {
            self.copies = nil
            if let refusal = begin(copies, server) { return .refused(refusal) }
        }
        guard let outcome = rehearsal?.step() else { return nil }
        rehearsal = nil
        guard case .fine = outcome, program.hasChanged else { return outcome }
        return .refused("\(program.path) was replaced while it was rehearsed; ask again")
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
    /// - Parameter file: nil is what lies where this program came from.
    /// - Returns: what is said at once.
    func beginUpgrade(_ file: String?, cause: String, client: UInt64?) -> ControlAnswer? {
        guard phase == .serving else { return refuseUpgrade("the gateway is \(phase.rawValue)", cause) }
        guard upgrade == nil, predecessor == nil else { return refuseUpgrade("another one is not over", cause) }
        if let successor, successor.isBeside {
            return refuseUpgrade(
                "the program before this one (process \(successor.before.process)) has not ended", cause)
        }
        guard takeover == nil, !handlerManager.isBusy else { return refuseUpgrade("a reload is under way", cause) }
        do throws(SuccessorProgram.Refusal) {
            let program = try SuccessorProgram(file)
            upgrade = UpgradeRequest(program, cause: cause, client: client, self)
            let text = "\(program.path) rehearses"
            log.info("upgrade (\(cause)): \(text)")
            if let client { control?.send(client, text + "\n") }
            return nil
        } catch {
            return refuseUpgrade(error.description, cause)
        }
    }

    func refuseUpgrade(_ reason: String, _ cause: String) -> ControlAnswer {
        log.warn("upgrade (\(cause)) refused, nothing was changed: \(reason)")
        return ControlAnswer("error: upgrade refused, nothing was changed: \(reason)", exit: 75)
    }

    /// Goes on with an upgrade that is under way, and hears what the process says that watches over this one.
    func stepUpgrade() {
        for event in supervisor?.turn(now: context.clock()) ?? [] { hear(event) }
        successor?.step(self, context.clock())
        stepPredecessor()
        guard let request = upgrade else { return }
        let isLate = phase != .serving
        guard let outcome = isLate ? .refused("the gateway is \(phase.rawValue)") : request.step(self, context.clock())
        else { return }
        upgrade = nil
        let answer: ControlAnswer
        switch outcome {
        case .refused(let reason): answer = refuseUpgrade(reason, request.cause)
        case .fine(let program, let said):
            if !said.isEmpty { log.info("upgrade: \(request.program.path) says:\n\(said)") }
            log.info("upgrade: gateway \(program) in \(request.program.path) has rehearsed")
            do throws(ChildProgram.Failure) {
                return try beginSuccession(request)
            } catch {
                answer = refuseUpgrade(error.description, request.cause)
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
