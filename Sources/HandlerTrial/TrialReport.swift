import GatewayControl
import GatewayServer

/// What came of a trial: a line for each thing that was tried, in the order it was.
package struct TrialReport: Sendable, Equatable {
    /// How a thing went.
    package enum Verdict: String, Sendable {
        /// As the contract wants it.
        case ok
        /// Against the contract, or dangerous.
        case wrong = "WRONG"
        /// Worth knowing, and perhaps meant.
        case note
        /// Not tried.
        case skipped = "-"
    }

    /// One line of the list.
    package struct Finding: Sendable, Equatable {
        /// What was tried: the same words in every report.
        package let title: String
        /// How it went.
        package let verdict: Verdict
        /// What happened.
        package let detail: String
        /// Why that matters, and what to do; empty when there is nothing to say.
        package let advice: String

        init(_ title: String, _ verdict: Verdict, _ detail: String = "", advice: String = "") {
            self.title = title
            self.verdict = verdict
            self.detail = detail
            self.advice = advice
        }
    }

    /// The module, as the user named it.
    package let file: String
    /// In the order things were tried.
    package internal(set) var findings: [Finding] = []

    /// Whether nothing was wrong.
    package var isGood: Bool { !findings.contains { $0.verdict == .wrong } }

    /// The list for people, lines with an end.
    package var text: String {
        let width = findings.map(\.title.count).max() ?? 0
        var text = ""
        for finding in findings {
            let gap = String(repeating: " ", count: width - finding.title.count + 2)
            let verdict = finding.verdict.rawValue
            var line = verdict + String(repeating: " ", count: 7 - verdict.count) + finding.title
            if !finding.detail.isEmpty { line += gap + Self.indented(finding.detail, by: 9 + width) }
            text += line + "\n"
            if !finding.advice.isEmpty { text += "       " + Self.indented(finding.advice, by: 7) + "\n" }
        }
        return text + "\n\(file): \(summary)\n"
    }

    /// "12 ok, 1 WRONG, 1 note".
    package var summary: String {
        func count(_ verdict: Verdict) -> Int { findings.count { $0.verdict == verdict } }
        var parts = ["\(count(.ok)) ok"]
        if count(.wrong) > 0 { parts.append("\(count(.wrong)) WRONG") }
        if count(.note) > 0 { parts.append("\(count(.note)) to note") }
        if count(.skipped) > 0 { parts.append("\(count(.skipped)) not tried") }
        return parts.joined(separator: ", ")
    }

    /// One line of JSON, with an end.
    package var json: String {
        var writer = JSONWriter()
        writer.object { report in
            report.member("file", file)
            report.member("passed", isGood)
            report.name("findings")
            report.array(findings) { list, finding in
                list.object { entry in
                    entry.member("title", finding.title)
                    let verdict = finding.verdict
                    entry.member("verdict", verdict == .skipped ? "skipped" : verdict.rawValue.lowercased())
                    entry.member("detail", finding.detail)
                    entry.member("advice", finding.advice)
                }
            }
        }
        return writer.text + "\n"
    }

    private static func indented(_ text: String, by count: Int) -> String {
        text.split(separator: "\n").joined(separator: "\n" + String(repeating: " ", count: count))
    }
}
