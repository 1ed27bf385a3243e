/// Events whose absence is a behaviour of its own in gw_handler.h: they are offered only to handlers that take them.
struct OptionalEvents: OptionSet, Sendable {
    let rawValue: Int

    static let requests = OptionalEvents(rawValue: 1)
    static let fragments = OptionalEvents(rawValue: 2)
    static let pings = OptionalEvents(rawValue: 4)
    static let pongs = OptionalEvents(rawValue: 8)
    static let drained = OptionalEvents(rawValue: 16)
}

/// All that has to be known of a handler before there is one.
struct HandlerDescription: Sendable {
    let handler: any Handler.Type
    let manifest: Manifest
    let takes: OptionalEvents
    let handover: Handover?
    let keepsNothing: Bool
    /// The closures of a handler that is made of them.
    var events: (any Sendable)?
}

extension HandlerDescription {
    /// What a type says by its conformances.
    init(_ handler: any Handler.Type) {
        var takes: OptionalEvents = []
        if handler._takesRequests { takes.insert(.requests) }
        if handler._takesFragments { takes.insert(.fragments) }
        if handler._takesPings { takes.insert(.pings) }
        if handler._takesPongs { takes.insert(.pongs) }
        if handler._takesDrained { takes.insert(.drained) }
        self.init(
            handler: handler, manifest: handler.manifest, takes: takes, handover: handler._handover,
            keepsNothing: handler._keepsNothing)
    }
}
