/// What `gateway top` shows: text for a terminal of a given size, made of two readings.
package struct TopScreen: Sendable {
    /// By what routes are sorted.
    package enum Order: String, CaseIterable, Sendable {
        case file = "as configured"
        case connections
        case messages
        case bytes
        case name

        /// The one that comes next.
        package var next: Order {
            let all = Self.allCases
            return all[(all.firstIndex(of: self).map { $0 + 1 } ?? 0) % all.count]
        }
    }

    private struct Row {
        let route: TopReading.Route
        let rate: TopReading.Traffic
        let generation: String
    }

    package var order = Order.file
    /// Rows that are scrolled away.
    package var offset = 0
    /// Instead of the state, such as that nobody answers any more.
    package var notice: String?
    private let colour: Bool

    package init(colour: Bool) { self.colour = colour }

    // MARK: The live view

    /// Exactly `rows` lines of at most `columns` characters, but for what paints them.
    package mutating func lines(_ now: TopReading, since before: TopReading?, columns: Int, rows: Int) -> [String] {
        let seconds = Self.seconds(now, since: before)
        let head = head(now, before, seconds, columns)
        let foot = [painted(fitted("q quit   s order: \(order.rawValue)   up, down, page keys scroll", columns), "7")]
        let room = max(0, rows - head.count - foot.count)
        let body = routes(now, before, seconds, columns) + generations(now, columns) + reloads(now, columns)
        offset = max(0, min(offset, body.count - room))
        var shown = Array(body.dropFirst(offset).prefix(room))
        while shown.count < room { shown.append("") }
        return Array((head + shown + foot).suffix(max(0, rows)))
    }

    private static func seconds(_ now: TopReading, since before: TopReading?) -> Double {
        // Another process began to count anew.
        guard let before, now.uptimeMilliseconds > before.uptimeMilliseconds else { return 0 }
        return (now.uptimeMilliseconds - before.uptimeMilliseconds) / 1000
    }

    private func head(_ now: TopReading, _ before: TopReading?, _ seconds: Double, _ columns: Int) -> [String] {
        let rate = now.total.rate(since: before?.total ?? now.total, seconds: seconds)
        let lag = now.loopLag.since(before?.loopLag ?? TopDurations())
        let cpu = seconds > 0 ? (now.cpuMilliseconds - (before?.cpuMilliseconds ?? 0)) / seconds / 10 : 0
        let state = notice ?? now.state
        let isWell = notice == nil && now.state == "serving"
        let facts = "gateway \(now.version)  \(state)  up \(Self.uptime(now.uptimeMilliseconds))  pid \(now.pid)"
        let title = fitted("\(facts)  \(now.configuration)", columns)
        return [
            painted(title, isWell ? "1" : "1;31"),
            fitted(
                "connections \(Self.count(now.connections)) of \(Self.count(now.mostConnections))"
                    + "   opened \(Self.short(rate.opened))/s   closed \(Self.short(rate.closed))/s"
                    + "   cpu \(Int(max(0, cpu))) %   memory \(Self.bytes(now.residentBytes))", columns),
            fitted(
                "messages in \(Self.short(rate.messagesIn))/s out \(Self.short(rate.messagesOut))/s"
                    + "   bytes in \(Self.bytes(rate.bytesIn))/s out \(Self.bytes(rate.bytesOut))/s"
                    + "   callbacks p50 \(rate.callbacks.percentile(0.5)) p99 \(rate.callbacks.percentile(0.99))"
                    + "   loop lag p99 \(lag.percentile(0.99))", columns),
            "",
        ]
    }

    // MARK: Tables

    private static let titles = [
        ("HANDLER", 10), ("GEN", 4), ("CONNS", 7), ("MSG IN/S", 8), ("OUT/S", 6), ("P50", 6), ("P99", 6), ("OPEN/S", 6),
        ("CLOSE/S", 7), ("IN B/S", 7), ("OUT B/S", 7),
    ]

    /// The path has what the others leave; what has no room is left out from the right.
    private func row(_ path: String, _ cells: [String], _ columns: Int) -> String {
        var width = max(8, columns)
        var shown: [String] = []
        for (cell, (name, size)) in zip(cells, Self.titles) where width - size - 1 >= 12 {
            shown.append(ScreenText.fitted(cell, size, atRight: name != "HANDLER"))
            width -= size + 1
        }
        return fitted(([ScreenText.fitted(path, min(width, 40))] + shown).joined(separator: " "), columns)
    }

    private func routes(
        _ now: TopReading, _ before: TopReading?, _ seconds: Double, _ columns: Int
    ) -> [String] {
        var rows = now.routes.map { route in
            let old = before?.routes.first { $0.name == route.name }
            let live = now.generations.first { $0.handler == route.handler && $0.state == "live" }
            return Row(
                route: route, rate: route.traffic.rate(since: old?.traffic ?? route.traffic, seconds: seconds),
                generation: live.map { "\(Int($0.number))" } ?? "-")
        }
        switch order {
        case .file: break
        case .connections: rows.sort { $0.route.connections > $1.route.connections }
        case .messages:
            rows.sort { $0.rate.messagesIn + $0.rate.messagesOut > $1.rate.messagesIn + $1.rate.messagesOut }
        case .bytes: rows.sort { $0.rate.bytesIn + $0.rate.bytesOut > $1.rate.bytesIn + $1.rate.bytesOut }
        case .name: rows.sort { $0.route.name < $1.route.name }
        }
        return [painted(row("ROUTE", Self.titles.map(\.0), columns), "1")]
            + rows.map { painted(line($0, columns), $0.route.isServed ? "" : "31") }
    }

    private func line(_ row: Row, _ columns: Int) -> String {
        let (route, rate) = (row.route, row.rate)
        return self.row(
            route.name,
            [
                route.handler, route.isServed ? row.generation : "down", Self.count(route.connections),
                Self.short(rate.messagesIn), Self.short(rate.messagesOut), rate.callbacks.percentile(0.5),
                rate.callbacks.percentile(0.99), Self.short(rate.opened), Self.short(rate.closed),
                Self.bytes(rate.bytesIn), Self.bytes(rate.bytesOut),
            ], columns)
    }

    /// Those beside the current one that still have connections, and those with troubles.
    private func generations(_ now: TopReading, _ columns: Int) -> [String] {
        let rows = now.generations.filter {
            $0.state == "live" ? $0.errors + $0.stalls > 0 : !["ended", "pinned"].contains($0.state)
        }
        if rows.isEmpty { return [] }
        return ["", painted(fitted("GENERATIONS", columns), "1")]
            + rows.map { generation in
                fitted(
                    "\(generation.handler) \(Int(generation.number)): \(generation.state),"
                        + " \(Self.count(generation.connections)) connections, \(Int(generation.errors)) errors,"
                        + " \(Int(generation.stalls)) stalls", columns)
            }
    }

    private func reloads(_ now: TopReading, _ columns: Int) -> [String] {
        if now.reloads.isEmpty { return [] }
        return ["", painted(fitted("LAST RELOADS", columns), "1")]
            + now.reloads.map { reload in
                let text = fitted(
                    "\(reload.at)  \(reload.handler): \(reload.isAccepted ? "" : "refused: ")\(reload.outcome)", columns
                )
                return painted(text, reload.isAccepted ? "" : "31")
            }
    }

    private func fitted(_ text: String, _ columns: Int) -> String { ScreenText.fitted(text, columns) }

    private func painted(_ text: String, _ code: String) -> String {
        colour && !code.isEmpty ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }
}

extension TopScreen {
    // MARK: A line for each look

    private static let columns = [
        ("conns", 8), ("open/s", 7), ("close/s", 7), ("msg-in/s", 9), ("msg-out/s", 9), ("in/s", 8), ("out/s", 8),
        ("p50", 6), ("p99", 6), ("lag99", 6), ("cpu%", 5), ("memory", 7),
    ]

    package static let lineTitles = columns.map { ScreenText.fitted($0.0, $0.1, atRight: true) }
        .joined(separator: " ")

    package static func line(_ now: TopReading, since before: TopReading) -> String {
        let seconds = seconds(now, since: before)
        let rate = now.total.rate(since: before.total, seconds: seconds)
        let cpu = seconds > 0 ? max(0, now.cpuMilliseconds - before.cpuMilliseconds) / seconds / 10 : 0
        let cells = [
            count(now.connections), short(rate.opened), short(rate.closed), short(rate.messagesIn),
            short(rate.messagesOut), bytes(rate.bytesIn), bytes(rate.bytesOut), rate.callbacks.percentile(0.5),
            rate.callbacks.percentile(0.99), now.loopLag.since(before.loopLag).percentile(0.99), "\(Int(cpu))",
            bytes(now.residentBytes),
        ]
        return zip(cells, columns).map { ScreenText.fitted($0, $1.1, atRight: true) }.joined(separator: " ")
    }

    // MARK: Numbers

    private static func count(_ number: Double) -> String { "\(Int(number))" }

    /// Three digits and a unit of thousands.
    package static func short(_ number: Double) -> String { scaled(number, 1000, ["", "k", "M", "G"]) }

    package static func bytes(_ number: Double) -> String { scaled(number, 1024, ["", "K", "M", "G", "T"]) }

    private static func scaled(_ number: Double, _ step: Double, _ units: [String]) -> String {
        var (rest, index) = (number, 0)
        // What would be rounded up to the step is one of the next unit.
        while rest >= step - 0.5, index < units.count - 1 {
            rest /= step
            index += 1
        }
        let tenths = Int((rest * 10).rounded())
        let isWhole = tenths % 10 == 0 || tenths >= 100
        return (isWhole ? "\(Int(rest.rounded()))" : "\(tenths / 10).\(tenths % 10)") + units[index]
    }

    private static func uptime(_ milliseconds: Double) -> String {
        let seconds = Int(milliseconds / 1000)
        let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60)
        if days > 0 { return "\(days)d \(hours)h" }
        if hours > 0 { return "\(hours)h \(minutes)m" }
        return minutes > 0 ? "\(minutes)m \(seconds % 60)s" : "\(seconds)s"
    }
}
