/// What `gateway connections` shows.
package struct ConnectionReport: Sendable {
    /// Where a connection stands.
    package enum State: String, Sendable {
        /// A request, or a handshake below it, is awaited or being answered.
        case request
        /// Messages flow.
        case open
        /// It speaks HTTP/2, and its streams are listed as connections of their own.
        case http2
        /// A closing handshake, or what is left to be sent.
        case closing
    }

    /// One connection.
    package struct Row: Sendable {
        package var id: UInt64
        package var state: State
        /// Nil when it has gone in this moment.
        package var peer: String?
        package var route: String?
        package var handler: String?
        package var generation: UInt64?
        package var ageMilliseconds: UInt64
        /// Since something came or went.
        package var idleMilliseconds: UInt64
        /// What follows, up to `bytesOut`, is known.
        package var isCounted = true
        package var messagesIn: UInt64 = 0
        package var messagesOut: UInt64 = 0
        package var bytesIn: UInt64 = 0
        package var bytesOut: UInt64 = 0
        /// Bytes that wait for the peer.
        package var queued: UInt64 = 0
        /// The version of TLS.
        package var tls: String?
        package var subprotocol: String?

        package init(id: UInt64, state: State, ageMilliseconds: UInt64, idleMilliseconds: UInt64) {
            self.id = id
            self.state = state
            self.ageMilliseconds = ageMilliseconds
            self.idleMilliseconds = idleMilliseconds
        }
    }

    private let query: ConnectionQuery
    private let rows: [Row]
    /// How many the query is about, shown or not.
    private let matched: Int
    /// Workers that did not answer: their connections are missing.
    private let silent: [Int]
    /// Handlers whose processes did not answer: what their connections have said is missing.
    private let silentHandlers: [String]

    /// - Parameter rows: in the order in which they are shown.
    package init(
        _ query: ConnectionQuery, rows: [Row], matched: Int, silent: [Int], silentHandlers: [String] = []
    ) {
        self.silentHandlers = silentHandlers
        self.query = query
        self.rows = rows
        self.matched = matched
        self.silent = silent
    }

    /// 1 when something is missing that nobody has asked to leave out.
    package var answer: ControlAnswer {
        let exit: Int32 = silent.isEmpty && silentHandlers.isEmpty ? 0 : 1
        switch query.form {
        case .json: return ControlAnswer(json, exit: exit)
        case .text: return ControlAnswer(text(colour: false), exit: exit)
        case .colour: return ControlAnswer(text(colour: true), exit: exit)
        }
    }

    // MARK: JSON

    /// One object: its size is that of the answer.
    private var json: String {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("matched", matched)
            if !silent.isEmpty {
                writer.name("silent_workers")
                writer.array(silent) { $0.value($1) }
            }
            if !silentHandlers.isEmpty {
                writer.name("silent_handlers")
                writer.array(silentHandlers) { $0.value($1) }
            }
            writer.name("connections")
            writer.array(rows) { Self.write($1, to: &$0) }
        }
        return writer.text
    }

    private static func write(_ row: Row, to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", String(row.id, radix: 16))
            writer.member("state", row.state.rawValue)
            writer.member("peer", row.peer)
            writer.member("route", row.route)
            writer.member("handler", row.handler)
            writer.member("generation", row.generation)
            writer.member("age_ms", row.ageMilliseconds)
            writer.member("idle_ms", row.idleMilliseconds)
            writer.member("messages_in", row.isCounted ? row.messagesIn : nil)
            writer.member("messages_out", row.isCounted ? row.messagesOut : nil)
            writer.member("bytes_in", row.isCounted ? row.bytesIn : nil)
            writer.member("bytes_out", row.isCounted ? row.bytesOut : nil)
            writer.member("queued_bytes", row.queued)
            writer.member("tls", row.tls)
            writer.member("subprotocol", row.subprotocol)
        }
    }

    // MARK: Text

    private func text(colour: Bool) -> String {
        // What nobody has takes no room in the terminal.
        let hasTLS = rows.contains { $0.tls != nil }
        let hasSubprotocol = rows.contains { $0.subprotocol != nil }
        var columns: [TextTable.Column] = [
            .init(title: "ID"), .init(title: "PEER"), .init(title: "ROUTE"), .init(title: "HANDLER"),
            .init(title: "GEN", isNumber: true), .init(title: "STATE"), .init(title: "AGE", isNumber: true),
            .init(title: "IDLE", isNumber: true), .init(title: "IN", isNumber: true),
            .init(title: "OUT", isNumber: true), .init(title: "BYTES IN", isNumber: true),
            .init(title: "BYTES OUT", isNumber: true), .init(title: "QUEUE", isNumber: true),
        ]
        if hasTLS { columns.append(.init(title: "TLS")) }
        if hasSubprotocol { columns.append(.init(title: "SUBPROTOCOL")) }
        var table = TextTable(columns)
        for row in rows {
            var cells = Self.cells(row)
            if hasTLS { cells.append(StyledText(row.tls ?? "-")) }
            if hasSubprotocol { cells.append(StyledText(row.subprotocol ?? "-")) }
            table.add(cells)
        }
        return (rows.isEmpty ? "" : table.text(colour: colour)) + note
    }

    private static func cells(_ row: Row) -> [StyledText] {
        let style: StyledText.Style = row.state == .open ? .good : row.state == .closing ? .doubtful : .faint
        return [
            StyledText(String(row.id, radix: 16), .bold), StyledText(row.peer ?? "-"), StyledText(row.route ?? "-"),
            StyledText(row.handler ?? "-"), StyledText(row.generation.map { "\($0)" } ?? "-"),
            StyledText(row.state.rawValue, style), StyledText(age(row.ageMilliseconds)),
            StyledText(age(row.idleMilliseconds)), StyledText(row.isCounted ? "\(row.messagesIn)" : "-"),
            StyledText(row.isCounted ? "\(row.messagesOut)" : "-"),
            StyledText(row.isCounted ? size(row.bytesIn) : "-"), StyledText(row.isCounted ? size(row.bytesOut) : "-"),
            StyledText(size(row.queued), row.queued > 0 ? .doubtful : .plain),
        ]
    }

    /// A duration in one word.
    private static func age(_ milliseconds: UInt64) -> String {
        String(Timestamp.duration(milliseconds: milliseconds).filter { $0 != " " })
    }

    /// A number of bytes in at most six characters.
    static func size(_ bytes: UInt64) -> String {
        if bytes < 10_000 { return "\(bytes)" }
        var number = Double(bytes)
        for unit in ["k", "m", "g"] {
            number /= 1024
            if number < 1000 {
                return number < 10 ? "\(Double(Int(number * 10)) / 10)\(unit)" : "\(Int(number))\(unit)"
            }
        }
        return "\(Int(number))g"
    }

    private var note: String {
        var note = ""
        if rows.isEmpty, silent.isEmpty { note += "no connections\n" }
        if matched > rows.count {
            note += "\(rows.count) of \(matched) connections are shown; --limit N shows more\n"
        }
        if !silent.isEmpty {
            let names = silent.map { "\($0)" }.joined(separator: ", ")
            note +=
                "worker \(names) did not answer in time: its connections are missing. A callback may hold it up, and the"
                + " error log then says which (callback_stall)\n"
        }
        if !silentHandlers.isEmpty {
            let names = silentHandlers.map { "\"\($0)\"" }.joined(separator: ", ")
            note +=
                "the process of handler \(names) did not answer in time: what its connections have said and heard is"
                + " missing\n"
        }
        return note
    }
}
