import GatewayControl
import GatewayIO
import GatewayServer
import Synchronization

/// Steps about the handler's own life.
extension Trial {
    private static let residents = 16

    /// Replaces the handler by itself while clients talk: none of them may notice.
    mutating func reload() throws(Stop) -> String {
        var clients: [ObjectBox] = []
        for _ in 0..<Self.residents { clients.append(ObjectBox(try opened("a client before the reload"))) }
        do throws(TrialGateway.Failure) {
            try gateway.renewModule()
        } catch {
            throw .wrong(error.sentence, advice: "")
        }
        let asked = try ask(.reload(gateway.handler))
        repeat {
            for box in clients {
                try say(box)
            }
        } while !asked.isAnswered
        let answer = asked.answer
        for box in clients { try say(box) }
        guard let answer else { throw .silent("the reload was not answered") }
        guard answer.exit == 0 else {
            throw .wrong(
                "refused: \(Self.firstLine(answer.text))", advice: "The gateway keeps the old generation; see the log.")
        }
        let outcome = Self.firstLine(answer.text)
        _ = try stillServes("a client after the reload")
        if let count = Self.number(before: " refused", in: outcome), count > 0 {
            throw .wrong(
                "\(count) of \(Self.residents) connections could not move",
                advice: "save_conn() or restore_conn() said no; those connections stay with the old generation.")
        }
        guard let moved = Self.number(before: " connection", in: outcome) else { return outcome }
        if moved == 0 { throw .note("connections stay with the old generation: \(Self.reason(in: outcome))") }
        if moved < Self.residents { return "\(moved) of \(Self.residents) connections moved by now" }
        return "\(moved) connections moved"
    }

    /// What the outcome says in brackets about connections that stay.
    static func reason(in outcome: String) -> String {
        guard let start = outcome.firstRange(of: "older generations ("), let end = outcome.lastIndex(of: ")"),
            start.upperBound < end
        else { return "nothing is handed over" }
        return String(outcome[start.upperBound..<end])
    }

    /// A message and a ping: a client that is closed, for whatever reason, has noticed the reload.
    private func say(_ box: ObjectBox) throws(Stop) {
        let what = "a client during the reload"
        do throws(TrialClient.Trouble) {
            if let spoken { try box.client.send(spoken, Self.payload(spoken, 100)) }
            try box.client.send(9, [0x72])
            while try box.client.next() != .pong([0x72]) {}
        } catch {
            throw stop(what, error)
        }
    }

    /// Tells the gateway to end while clients are connected: each hears 1001, and the handler's stop() returns.
    func stop() throws(Stop) -> String {
        var clients: [ObjectBox] = []
        for _ in 0..<20 { clients.append(ObjectBox(try opened("a client before the end"))) }
        gateway.stop()
        for box in clients {
            let code = try attempt("a client at the end") { () throws(TrialClient.Trouble) in
                let code = try box.client.readClose()
                try? box.client.sendClose(code)
                return code
            }
            try judge("a client at the end", .closed(code))
        }
        guard gateway.wait(seconds: 15, for: { gateway.hasEnded != nil }) else {
            throw .silent("the gateway did not end: stop() has not returned for 15 s")
        }
        guard gateway.hasEnded == 0 else { throw .crashed }
        return ""
    }

    // MARK: Asking

    /// A question to the control socket that is waited for elsewhere.
    private final class Question: Sendable {
        private let state = Mutex<(isOver: Bool, answer: ControlAnswer?)>((false, nil))

        var isAnswered: Bool { state.withLock { $0.isOver } }
        var answer: ControlAnswer? { state.withLock { $0.answer } }

        func end(_ answer: ControlAnswer?) { state.withLock { $0 = (true, answer) } }
    }

    private func ask(_ command: ControlCommand) throws(Stop) -> Question {
        let (question, path) = (Question(), gateway.control)
        do throws(Errno) {
            let thread = try SystemThread(name: "reload") {
                do throws(ControlClient.Failure) {
                    question.end(try ControlClient.ask(command, at: path, seconds: 60))
                } catch {
                    question.end(nil)
                }
            }
            thread.detach()
        } catch {
            throw .wrong("cannot start a thread: \(error)", advice: "")
        }
        return question
    }

    private static func firstLine(_ text: String) -> String {
        text.split(separator: "\n").first.map { String($0) } ?? ""
    }

    /// The number that stands before a word.
    static func number(before word: String, in text: String) -> Int? {
        guard let place = text.firstRange(of: word) else { return nil }
        let digits = text[..<place.lowerBound].reversed().prefix { $0.isASCII && $0.isNumber }
        return Int(String(digits.reversed()))
    }
}
