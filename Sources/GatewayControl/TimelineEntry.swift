/// Something that changed what the gateway serves, or was meant to: a line of the dashboard's timeline.
package struct TimelineEntry: Sendable, Equatable {
    package enum Kind: String, Sendable {
        case start, reload, rollback, configuration
    }

    /// What came of it.
    package enum Result: String, Sendable {
        case switched, unchanged, refused
    }

    /// Ascending; the page knows by it what it has already.
    package var number: UInt64
    package var kind: Kind
    /// Nil when it is about no handler.
    package var handler: String?
    package var result: Result
    /// The generation that served before, and the one that serves since; the same where nothing changed, nil for none.
    package var before: UInt64?
    package var after: UInt64?
    package var reload: StatusReport.Reload

    package init(
        number: UInt64, kind: Kind, handler: String?, result: Result, before: UInt64? = nil, after: UInt64? = nil,
        reload: StatusReport.Reload
    ) {
        self.number = number
        self.kind = kind
        self.handler = handler
        self.result = result
        self.before = before
        self.after = after
        self.reload = reload
    }

    /// As one value.
    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("number", number)
            writer.member("kind", kind.rawValue)
            writer.member("handler", handler)
            writer.member("result", result.rawValue)
            writer.member("before", before)
            writer.member("after", after)
            writer.name("reload")
            reload.write(to: &writer)
        }
    }
}
