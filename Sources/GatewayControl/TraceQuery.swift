/// What `gateway trace` shows, and for how long.
package struct TraceQuery: Sendable, Equatable {
    /// Whose frames.
    package enum Target: Sendable, Equatable {
        case connection(UInt64)
        /// Of all connections of a route, by its path, or with its host before it; also of those that come later.
        case route(String)
    }

    /// Bytes of a payload where nobody says how many.
    package static let usualLimit = 128
    /// More of one are never shown.
    package static let mostBytes = 65536

    package var form = ControlCommand.Form.text
    package var target: Target
    /// Payloads and reasons are left out.
    package var isRedacted = false
    /// Bytes of each payload.
    package var limit = Self.usualLimit
    /// How long, in milliseconds; nil = until the client leaves.
    package var duration: UInt64?

    package init(_ target: Target) { self.target = target }

    /// The options of the command line that have a value, and those that have none.
    package static let options = ["--route", "--limit", "--for"]
    package static let flags = ["--redact"]

    package init(_ options: ControlOptions, form: ControlCommand.Form) throws(ControlCommand.Failure) {
        var options = options
        let (id, route) = (options.take("id"), options.take("route"))
        switch (id, route) {
        case (let id?, nil): target = .connection(try ControlOptions.connection(id))
        case (nil, let route?): target = .route(route)
        case (nil, nil), (.some, .some):
            throw ControlCommand.Failure(sentence: "trace takes the id of a connection, or --route and a path")
        }
        self.form = form
        isRedacted = options.take("redact") != nil
        limit = try options.bytes("limit", atMost: Self.mostBytes) ?? limit
        duration = try options.duration("for")
        try options.end()
    }

    /// The words of a control line.
    var line: String {
        var options: [(name: String, value: String?)] = []
        switch target {
        case .connection(let id): options.append(("id", String(id, radix: 16)))
        case .route(let route): options.append(("route", route))
        }
        options += [
            ("redact", isRedacted ? "" : nil), ("limit", "\(limit)"), ("for", duration.map { "\($0)ms" }),
        ]
        return form.rawValue + ControlOptions.words(options)
    }

    /// As people speak of it.
    package var subject: String {
        switch target {
        case .connection(let id): "connection \(String(id, radix: 16))"
        case .route(let route): "route \(route)"
        }
    }
}
