import GatewayIO
import GatewayServer

/// Tries a handler: lets clients of all kinds at a real gateway that serves it, and notes what goes wrong.
///
/// Each step fills in one line of the report. Between steps nothing is under way, because each ends with a ping whose
/// pong says that all before it has been dealt with.
package struct Trial {
    let plan: TrialPlan
    let gateway: TrialGateway
    var report: TrialReport
    /// How far the log has been read for mistakes.
    var readLog = 0
    /// A kind of message that the handler takes in every size; nil when there is none.
    var spoken: UInt8?
    /// Kinds of mistakes that were told already.
    var told: Set<String> = []

    /// Why a step found nothing out.
    enum Stop: Error {
        /// The gateway's process has died.
        case crashed
        /// The handler holds everything up, or answers no pings.
        case silent(String)
        /// What the step wanted did not come about; goes on with the next one.
        case wrong(String, advice: String)
        /// Worth knowing; goes on with the next one.
        case note(String)
    }

    /// Tries the handler of the plan. Takes some seconds; a handler that hangs is given up.
    package static func run(_ plan: TrialPlan) -> TrialReport {
        var report = TrialReport(file: plan.file)
        do throws(TrialGateway.Failure) {
            var trial = Trial(plan: plan, gateway: try TrialGateway(plan), report: report)
            trial.run()
            return trial.report
        } catch {
            report.findings.append(TrialReport.Finding("starts", .wrong, error.sentence))
            return report
        }
    }

    private typealias Step = (title: String, body: (inout Trial) throws(Stop) -> String)

    private static var steps: [Step] {
        [
            ("starts", { trial throws(Stop) in try trial.start() }),
            ("lets clients in", { trial throws(Stop) in try trial.open() }),
            ("answers pings", { trial throws(Stop) in try trial.ping() }),
            ("text", { trial throws(Stop) in try trial.messages(1) }),
            ("binary", { trial throws(Stop) in try trial.messages(2) }),
            ("fragments", { trial throws(Stop) in try trial.fragments() }),
            ("messages in one packet", { trial throws(Stop) in try trial.burst() }),
            ("plain HTTP", { trial throws(Stop) in try trial.plainRequest() }),
            ("closing", { trial throws(Stop) in try trial.closings() }),
            ("vanishing clients", { trial throws(Stop) in try trial.vanish() }),
            ("many at once", { trial throws(Stop) in try trial.crowd() }),
            ("a client that does not read", { trial throws(Stop) in try trial.slowReader() }),
            ("1,000 come and go", { trial throws(Stop) in try trial.churn() }),
            ("reload", { trial throws(Stop) in try trial.reload() }),
            ("reload again", { trial throws(Stop) in try trial.reload() }),
            ("stops with clients connected", { trial throws(Stop) in try trial.stop() }),
        ]
    }

    private mutating func run() {
        var isOver = false
        for step in Self.steps {
            if isOver {
                report.findings.append(TrialReport.Finding(step.title, .skipped))
                continue
            }
            let at = report.findings.count
            isOver = !take(step)
            noteMistakes(during: step.title, at: at)
        }
    }

    /// - Returns: whether it makes sense to go on.
    private mutating func take(_ step: Step) -> Bool {
        do throws(Stop) {
            let detail = try step.body(&self)
            if hasCrashed { throw .crashed }
            report.findings.append(TrialReport.Finding(step.title, .ok, detail))
            return true
        } catch {
            switch error {
            case .note(let detail): report.findings.append(TrialReport.Finding(step.title, .note, detail))
            case .wrong(let detail, let advice):
                report.findings.append(TrialReport.Finding(step.title, .wrong, detail, advice: advice))
                return step.title != "starts" && step.title != "lets clients in"
            case .silent(let detail):
                if hasCrashed { return noteCrash(step.title) }
                report.findings.append(
                    TrialReport.Finding(
                        step.title, .wrong, detail,
                        advice: "A callback must return quickly: it borrows the event loop of thousands of others."))
                return false
            case .crashed: return noteCrash(step.title)
            }
            return true
        }
    }

    /// Whether the process has ended; its end may be a moment behind that of its connections.
    private var hasCrashed: Bool { gateway.hasEnded.map { $0 != 0 } ?? false }

    private mutating func noteCrash(_ title: String) -> Bool {
        let words = gateway.crash().map { $0.split(separator: "\n").first.map { String($0) } ?? $0 }
        let end = gateway.hasEnded.map { $0 < 0 ? "signal \(-$0)" : "exit status \($0)" } ?? "unknown"
        report.findings.append(
            TrialReport.Finding(
                title, .wrong, words ?? "the gateway ended: \(end)",
                advice: "A handler that crashes ends the gateway and everybody in it."))
        return false
    }

    /// What the gateway caught the handler at meanwhile, once for each kind, before the finding of the step.
    private mutating func noteMistakes(during title: String, at place: Int) {
        let log = gateway.log().split(separator: "\n")
        let lines = log.dropFirst(readLog)
        readLog = log.count
        for line in lines {
            guard let mistake = ContractViolation(logLine: String(line)), told.insert(mistake.kind.rawValue).inserted
            else {
                continue
            }
            report.findings.append(
                TrialReport.Finding(
                    mistake.kind.rawValue, .wrong, "\(mistake.what), during \"\(title)\"", advice: mistake.kind.advice))
        }
    }

    // MARK: What steps share

    /// Does something as a client, and makes what goes wrong with the connection a reason to stop.
    func attempt<Result: ~Copyable>(
        _ what: String, _ body: () throws(TrialClient.Trouble) -> Result
    ) throws(Stop) -> Result {
        do throws(TrialClient.Trouble) {
            return try body()
        } catch {
            throw stop(what, error)
        }
    }

    /// What trouble means for a step.
    func stop(_ what: String, _ trouble: TrialClient.Trouble) -> Stop {
        switch trouble {
        case .silence: return .silent("\(what): nothing came for \(TrialClient.patience) s")
        case .violation(let rule): return .wrong("\(what): \(rule)", advice: "")
        case .refused(let status): return .wrong("\(what): refused with \(status)", advice: Self.advice(status))
        case .ended, .unreachable:
            if gateway.wait(seconds: 1, for: { gateway.hasEnded != nil }) { return .crashed }
            return .wrong(
                "\(what): the connection ended without a Close frame",
                advice: "Unless abort() was meant, close() tells the client why (RFC 6455 7.1.5: without it, 1006).")
        }
    }

    static func advice(_ status: Int) -> String {
        switch status {
        case 503: "The handler was not loaded or its start() failed."
        case 500: "A callback returned an error, or http() returned GW_OK without a reply."
        case 504: "GW_DEFER was returned and reply() was not called in time."
        default: ""
        }
    }

    /// Judges a connection after it settled.
    func judge(_ what: String, _ condition: TrialClient.Condition) throws(Stop) {
        guard case .closed(let code) = condition, code == 1011 else { return }
        throw .wrong(
            "\(what): closed with 1011",
            advice: "The handler failed: it threw, or memory was short. Its lines in the log say more.")
    }
}
