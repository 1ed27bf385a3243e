/// Where the handler of a route runs, and what is kept for the case that its process ends.
package struct Isolation: Sendable, Equatable {
    package enum Mode: String, Sendable, CaseIterable {
        /// In the process of the gateway.
        case none
        /// In one of its own, whose end no client notices.
        case process
    }

    /// When a handler is asked to save what it knows.
    package enum Checkpoint: Sendable, Equatable {
        case off
        /// After each message.
        case message
        /// Every so often, of the connections that have changed.
        case every(milliseconds: Int64)
    }

    /// What happens to the connection in whose callback the process has ended.
    package enum Crash: String, Sendable, CaseIterable {
        /// It is closed with 1011.
        case close
        /// It goes on without the message.
        case resume
    }

    /// When a process makes room for a fresh one: at the first of two occasions.
    package struct Recycling: Sendable, Equatable {
        static let sizes: ClosedRange<Int64> = (1 << 20)...(1 << 40)
        static let ages: ClosedRange<Int64> = 1000...(365 * 86_400_000)

        /// It has more memory than this; nil = it may have any.
        package var bytes: Int64?
        /// It is as old as this; nil = it may have any age.
        package var milliseconds: Int64?

        package init(bytes: Int64? = nil, milliseconds: Int64? = nil) {
            self.bytes = bytes
            self.milliseconds = milliseconds
        }
    }

    /// `isolation`: where it runs; the same for all routes of a handler.
    package var mode = Mode.none
    /// `checkpoint`: when it saves.
    package var checkpoint = Checkpoint.off
    /// `crash`: what happens to the connection that it ended with.
    package var crash = Crash.close
    /// `recycle`: when it is replaced; nil = never.
    package var recycling: Recycling?

    /// The defaults.
    package init() {}
}

extension Isolation.Checkpoint {
    /// As it is written in a file.
    var text: String {
        switch self {
        case .off: "off"
        case .message: "message"
        case .every(let milliseconds): Unit.text(milliseconds: milliseconds)
        }
    }
}

extension Isolation.Recycling {
    /// As it is written in a file. What stands alone must be no size and no duration at once, as 30m would be.
    var text: String {
        let (size, age) = (bytes.map { Unit.text(bytes: $0) }, milliseconds.map { Unit.text(milliseconds: $0) })
        if let size, let age { return "\(size) \(age)" }
        if let size { return size.uppercased() }
        guard let age, let milliseconds else { return "off" }
        return Self.isAmbiguous(age) ? "\(milliseconds / 1000)s" : age
    }

    /// Digits and an m: mebibytes, or minutes.
    static func isAmbiguous(_ text: String) -> Bool {
        text.hasSuffix("m") && text.count > 1 && text.dropLast().allSatisfy(\.isNumber)
    }

    /// Digits and a unit of durations.
    static func isAge(_ text: String) -> Bool {
        ["ms", "s", "h", "d"].contains(String(text.drop { $0.isNumber }))
    }
}

extension Directive {
    /// What such a line says decides nothing in a block without `isolation process`.
    private static let ofProcesses: Set<String> = ["checkpoint", "crash", "recycle"]

    /// Whether a value of it counts for a route.
    func isInEffect(at limits: Limits) -> Bool { limits.isolation.mode == .process || !Self.ofProcesses.contains(name) }
}

extension Evaluator {
    mutating func applyIsolation(_ entry: Admitted, to scope: inout Scope) {
        switch entry.directive.setting {
        case .isolation(let path):
            if let mode = choice(entry, among: Isolation.Mode.self) { scope[keyPath: path] = mode }
        case .checkpoint(let path, let range):
            if let checkpoint = checkpoint(entry, range) { scope[keyPath: path] = checkpoint }
        case .crash(let path):
            if let crash = choice(entry, among: Isolation.Crash.self) { scope[keyPath: path] = crash }
        case .recycling(let path):
            if isOff(entry) {
                scope[keyPath: path] = nil
            } else if let value = recycling(entry) {
                scope[keyPath: path] = value
            }
        case .bytes, .count, .countOrOff, .time, .timeOrOff, .flag, .policy, .slowConsumer, .dispatch, .topics,
            .logLevel, .compression, .origin, .fileMode, .name, .forwarding, .rate, .addresses, .probation, .special:
            break
        }
    }

    /// Reads `message`, or how often.
    private mutating func checkpoint(_ entry: Admitted, _ range: ClosedRange<Int64>) -> Isolation.Checkpoint? {
        guard let word = onlyValue(entry) else { return nil }
        if word.text == "off" { return .off }
        if word.text == "message" { return .message }
        let milliseconds = number(word, entry, range, Unit.milliseconds, { Unit.text(milliseconds: $0) })
        return milliseconds.map { .every(milliseconds: $0) }
    }

    /// Reads a size, a duration, or both in that order.
    private mutating func recycling(_ entry: Admitted) -> Isolation.Recycling? {
        let words = entry.statement.arguments
        guard let first = words.count == 2 ? words[0] : onlyValue(entry) else { return nil }
        if words.count == 2 {
            guard let bytes = recycledSize(first, entry), let milliseconds = recycledAge(words[1], entry)
            else { return nil }
            return Isolation.Recycling(bytes: bytes, milliseconds: milliseconds)
        }
        if Isolation.Recycling.isAmbiguous(first.text) {
            let shown = Quotation.short(first.text)
            let size = first.text.uppercased()
            let age = (try? Unit.milliseconds(first.text)).map { "\($0 / 1000)s" } ?? "a duration in seconds"
            report.error(
                "\(shown) alone may be a size or a duration", at: first.range,
                notes: ["Write \(size) for mebibytes, or \(age) for minutes."])
            return nil
        }
        if Isolation.Recycling.isAge(first.text) {
            return recycledAge(first, entry).map { Isolation.Recycling(milliseconds: $0) }
        }
        return recycledSize(first, entry).map { Isolation.Recycling(bytes: $0) }
    }

    private mutating func recycledSize(_ word: Word, _ entry: Admitted) -> Int64? {
        number(word, entry, Isolation.Recycling.sizes, Unit.bytes, { Unit.text(bytes: $0) }, units: "k, m or g")
    }

    private mutating func recycledAge(_ word: Word, _ entry: Admitted) -> Int64? {
        number(word, entry, Isolation.Recycling.ages, Unit.milliseconds, { Unit.text(milliseconds: $0) })
    }

    /// Once the block of a route is read: what it says of a process goes together, and with the routes before it.
    ///
    /// - Parameter range: of the path of the route.
    mutating func settleIsolation(_ scope: inout Scope, handler: String, at range: SourceRange) {
        let isolation = scope.limits.isolation
        let line = scope.ranges["isolation"] ?? range
        if let first = isolations[handler], first.mode != isolation.mode {
            report.error(
                "handler \(Quotation.short(handler)) cannot have \"isolation \(isolation.mode.rawValue)\" here and"
                    + " \"isolation \(first.mode.rawValue)\" at \(report.location(of: first.range))",
                at: line,
                notes: ["It runs in one place for all of its routes: say the same in each, or in \"defaults\" alone."])
        } else if isolations[handler] == nil, !handler.isEmpty {
            isolations[handler] = (isolation.mode, line)
        }
        if isolation.mode == .process { return }
        let none = Isolation()
        for (name, isUnchanged) in [
            ("checkpoint", isolation.checkpoint == none.checkpoint), ("crash", isolation.crash == none.crash),
            ("recycle", isolation.recycling == none.recycling),
        ] where !isUnchanged {
            guard let range = scope.ranges[name] else { continue }
            report.error(
                "\"\(name)\" without \"isolation process\" has no effect", at: range,
                notes: ["Only what runs in a process of its own outlives its end. Add: isolation process;"])
        }
        // Those of `defaults` are for other routes.
        scope.limits.isolation = none
    }
}
