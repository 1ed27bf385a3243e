extension StatusReport {
    /// The report for people: aligned, one thing a line, in colours where the reader is a terminal.
    package func text(colour: Bool) -> String {
        var text = headline(colour) + process.details(self, colour)
        if !routes.isEmpty { text += "\n" + routeTable().text(colour: colour) }
        for handler in handlers { text += "\n" + handler.text(now: process.now, colour: colour) }
        return text
    }

    private func headline(_ colour: Bool) -> String {
        let state: StyledText =
            switch process.phase {
            case .starting: StyledText("starting", .doubtful)
            case .serving where missing > 0:
                StyledText("degraded, \(missing) of \(routes.count) routes unavailable", .bad)
            case .serving where isDegraded:
                StyledText("degraded, a copy serves instead of the file of \(troubled.joined(separator: ", "))", .bad)
            case .serving: StyledText("serving", .good)
            case .draining: StyledText("draining", .doubtful)
            case .stopping: StyledText("stopping", .doubtful)
            }
        let dot = StyledText("●", state.style).rendered(colour: colour)
        let name = StyledText("gateway \(process.version)", .bold).rendered(colour: colour)
        let uptime = Timestamp.duration(milliseconds: process.uptimeMilliseconds)
        let connections = Self.count(process.connections, "connection")
        return "\(dot) \(name): \(state.rendered(colour: colour)), \(connections), up \(uptime)\n"
    }

    private func routeTable() -> TextTable {
        var table = TextTable([
            .init(title: "ROUTE"), .init(title: "HANDLER"), .init(title: "STATE"),
            .init(title: "CONNECTIONS", isNumber: true), .init(title: "RELOAD"),
        ])
        for route in routes {
            let isServing = route.unavailable == nil
            table.add(
                [
                    StyledText((route.host ?? "") + route.pattern), StyledText(route.handler),
                    StyledText(isServing ? "serving" : "unavailable", isServing ? .good : .bad),
                    StyledText("\(route.connections)"), StyledText(route.reload),
                ], notes: route.notes)
        }
        return table
    }

    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// As in "900 B", "17 KiB": two digits and more.
    fileprivate static func bytes(_ number: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        let step = units.indices.last { number >> (10 * UInt64($0)) >= ($0 == 0 ? 0 : 10) } ?? 0
        return "\(number >> (10 * UInt64(step))) \(units[step])"
    }

    fileprivate static func age(_ seconds: Int64, now: Int64) -> String {
        // A clock that was set back makes an age of nothing.
        let age = UInt64(max(0, now.subtractingReportingOverflow(seconds).partialValue)) &* 1000
        return "\(Timestamp.text(seconds)), \(Timestamp.duration(milliseconds: age)) ago"
    }
}

extension StatusReport.Route {
    fileprivate var notes: [StyledText] {
        let reason = unavailable.map { StyledText($0, .bad) }
        return [reason, costs.text.map { StyledText($0, .doubtful) }, compression?.note].compactMap { $0 }
    }
}

extension StatusReport.Compression {
    /// nil while nothing was compressed.
    fileprivate var note: StyledText? {
        let directions = [received.text("in"), sent.text("out")].compactMap { $0 }
        return directions.isEmpty ? nil : StyledText("compressed: " + directions.joined(separator: "; "), .faint)
    }
}

extension StatusReport.Compression.Direction {
    /// As in "out 12 MiB to 31 % in 120 ms".
    fileprivate func text(_ name: String) -> String? {
        guard let ratio else { return nil }
        let percent = Int((ratio * 100).rounded())
        let time = Timestamp.duration(milliseconds: nanoseconds / 1_000_000)
        return "\(name) \(StatusReport.bytes(plainBytes)) to \(percent) % in \(time)"
    }
}

extension StatusReport.Costs {
    /// Those that there are; nil when there are none.
    fileprivate var text: String? {
        let parts = [
            (closed, "closed"), (droppedNew, "new messages dropped"), (droppedOld, "old messages dropped"),
            (pausedReads, "pauses of reading"), (writeTimeouts, "cut off by write_timeout"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return parts.isEmpty ? nil : "slow peers: " + parts.joined(separator: ", ")
    }
}

extension StatusReport.Process {
    fileprivate func details(_ report: StatusReport, _ colour: Bool) -> String {
        let listeners = report.listeners.map { report.inheritedListeners.contains($0) ? "\($0) (handed over)" : $0 }
        let spread = workerConnections.map { String($0) }.joined(separator: " + ")
        let workers =
            StatusReport.count(workers, "worker")
            + (workerConnections.count > 1 && connections > 0 ? " with \(spread) connections" : "")
        var lines: [(String, StyledText)] = [
            ("process", StyledText("pid \(pid), \(workers), started \(Timestamp.text(startedAt))")),
            ("listening", StyledText(listeners.isEmpty ? "nowhere" : listeners.joined(separator: "  "))),
        ]
        if let upgrade { lines.append(("upgrade", StyledText(upgrade, .doubtful))) }
        for (index, reason) in report.reasons.enumerated() {
            lines.append((index == 0 ? "reason" : "", StyledText(reason, .bad)))
        }
        for (index, certificate) in report.certificates.enumerated() {
            lines.append((index == 0 ? "certificate" : "", certificate.text(now: now)))
        }
        lines += report.cluster?.lines ?? []
        lines.append(("limit", StyledText(StatusReport.count(maxConnections, "connection"))))
        if let memory {
            let style: StyledText.Style = memory.held > memory.most ? .bad : .plain
            let counts = "\(memory.refused) requests refused, \(StatusReport.count(memory.shed, "connection")) shed"
            lines.append(("memory", StyledText("\(memory.held) of \(memory.most) bytes; \(counts)", style)))
        }
        if !report.refusals.isEmpty {
            let counts = report.refusals.map { "\($0.count) \($0.word)" }.joined(separator: ", ")
            lines.append(("refused", StyledText(counts)))
        }
        lines.append(("file", StyledText(configuration)))
        if let reload = configurationReload {
            let verdict = reload.isAccepted ? "read again" : "refused"
            let style: StyledText.Style = reload.isAccepted ? .plain : .bad
            lines.append(("", StyledText("\(verdict) \(StatusReport.age(reload.at, now: now))", style)))
            lines += StyledText.lines(reload.outcome, style).map { ("", $0) }
        }
        return lines.map { title, value in
            let margin = String(repeating: " ", count: max(0, 11 - title.utf8.count))
            return margin + title + "  " + value.rendered(colour: colour) + "\n"
        }.joined()
    }
}

extension StatusReport.Certificate {
    /// Days that are few: the log speaks of it from there on as well.
    private static let fewDays: Int64 = 14

    fileprivate func text(now: Int64) -> StyledText {
        let left = expiresAt - now
        let days = abs(left) / 86_400
        let count = StatusReport.count(Int(days), "day")
        let span = left < 0 ? "expired \(count) ago" : "in \(count)"
        let style: StyledText.Style = left < 0 ? .bad : days < Self.fewDays ? .doubtful : .plain
        return StyledText("\(name) until \(Timestamp.text(expiresAt)), \(span)  \(file)", style)
    }
}

extension StatusReport.Handler {
    fileprivate func text(now: Int64, colour: Bool) -> String {
        let title = StyledText("HANDLER \(name)", .bold).rendered(colour: colour)
        let place = StyledText(file ?? "nothing is loaded", file == nil ? .bad : .plain)
        var text = "\(title)  \(place.rendered(colour: colour))\n"
        // What the last reload says is not said twice.
        let said = lastReload?.outcome == trouble ? nil : trouble
        for line in said.map({ StyledText.lines($0, .bad) }) ?? [] {
            text += "  " + line.rendered(colour: colour) + "\n"
        }
        if let note { text += "  " + StyledText(note, .doubtful).rendered(colour: colour) + "\n" }
        // How one that is over has ended is said below.
        if !["idle", "gone", "pinned"].contains(state) {
            text += "  reload: \(StyledText(state, .doubtful).rendered(colour: colour))\n"
        }
        if !generations.isEmpty { text += generationTable().text(colour: colour) }
        if let reload = lastReload {
            let style: StyledText.Style = reload.isAccepted ? .plain : .bad
            let when = StyledText("\(StatusReport.age(reload.at, now: now)): \(reload.cause)")
            text += "  last reload  \(when.rendered(colour: colour))\n"
            for line in StyledText.lines(reload.outcome, style) {
                text += "               " + line.rendered(colour: colour) + "\n"
            }
            text += "               \(reload.moved) moved, \(reload.refused) refused"
            text += ", \(reload.closed) closed, \(reload.draining) draining"
            text += ", \(reload.milliseconds) ms\n"
        }
        return text
    }

    private func generationTable() -> TextTable {
        var table = TextTable(
            [
                .init(title: "GENERATION", isNumber: true), .init(title: "STATE"), .init(title: "FOR"),
                .init(title: "CONNECTIONS", isNumber: true), .init(title: "ERRORS", isNumber: true),
                .init(title: "STALLS", isNumber: true), .init(title: "BUILT"), .init(title: "DIGEST"),
                .init(title: "VERSION"), .init(title: "LANGUAGE"),
            ], indent: "  ")
        for each in generations {
            table.add(
                [
                    StyledText("\(each.number)"), StyledText(each.state.rawValue, each.state.style),
                    StyledText(Timestamp.duration(milliseconds: each.sinceMilliseconds)),
                    StyledText("\(each.connections)"), StyledText("\(each.errors)", each.errors > 0 ? .bad : .plain),
                    StyledText("\(each.stalls)", each.stalls > 0 ? .doubtful : .plain),
                    StyledText(each.builtAt.map { Timestamp.text($0) } ?? "-"), StyledText(each.digestText),
                    StyledText(each.version.isEmpty ? "-" : each.version), StyledText(each.language),
                ], notes: each.why.map { [StyledText($0, .faint)] } ?? [])
        }
        return table
    }
}

extension StatusReport.Generation {
    var digestText: String { Self.digestText(digest) }

    /// Sixteen hexadecimal digits.
    package static func digestText(_ digest: UInt64) -> String {
        let digits = String(digest, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

extension StatusReport.Generation.State {
    fileprivate var style: StyledText.Style {
        switch self {
        case .live: .good
        case .loading, .handingOver, .retiring: .doubtful
        case .ended, .pinned: .faint
        }
    }
}
