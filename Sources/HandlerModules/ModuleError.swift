/// Why a handler could not be brought into service: what failed, where, why, what still works, what to do.
package struct ModuleError: Error, Equatable, Sendable {
    /// How far it came; also the label of the metric.
    package enum Stage: String, Sendable {
        case locating
        case staging
        case probing
        case loading
        case starting
    }

    /// The name in gateway.conf.
    package let handler: String
    package let stage: Stage
    /// What is wrong, a clause without a full stop.
    package let reason: String
    /// Where, with its label: "File: /srv/Plugins/feed.so".
    package let place: String
    /// What the reader can do about it, a sentence without a full stop.
    package let remedy: String
    /// What the module wrote before it ended its probe process, the end of it; usually empty.
    package let output: String
    /// A sentence about what this did not affect; nil when there is nothing to say.
    package let aside: String?
    /// The generation that goes on serving; nil when there is none.
    package var serving: UInt64?
    /// The error is about one route alone; the handler serves others.
    package var isOfRoute = false

    package init(
        handler: String, stage: Stage, reason: String, place: String, remedy: String, output: String = "",
        aside: String? = nil, serving: UInt64? = nil
    ) {
        self.handler = handler
        self.stage = stage
        self.reason = reason
        self.place = place
        self.remedy = remedy
        self.output = output
        self.aside = aside
        self.serving = serving
    }

    /// The same error about one route, of a handler that serves others.
    package var ofRoute: ModuleError {
        var error = self
        error.isOfRoute = true
        return error
    }

    /// The same error with what is known about the generation that still serves.
    package func serving(_ generation: UInt64?) -> ModuleError {
        var error = self
        error.serving = generation
        return error
    }
}

extension ModuleError: CustomStringConvertible {
    package var description: String {
        let effect =
            if isOfRoute {
                "This route answers 503 handler-unavailable; the others are served."
            } else if let serving {
                "Still serving: generation \(serving)."
            } else {
                "Nothing serves this handler: its routes answer 503 handler-unavailable; all others are served."
            }
        return "\(finding)\n   \(aside.map { $0 + " " } ?? "")\(effect)"
    }

    /// What is wrong, without what it means for a gateway that serves: for a check.
    package var finding: String {
        """
        handler "\(handler)": \(reason).
           \(place)
        \(lastWords)   To do: \(remedy).
        """
    }

    /// The last lines of the output, one below the other.
    private var lastWords: String {
        output.split(whereSeparator: \.isNewline).suffix(Self.mostLines).map { "   | \(String($0).printable)\n" }
            .joined()
    }

    private static let mostLines = 8
}
