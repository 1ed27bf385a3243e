/// Finds the route of a path. Built once per configuration, then only read: any thread may ask it.
///
/// Order: the exact path; then patterns with parameters; then the longest `/*`. Among patterns with parameters that
/// fit, the one whose literal segments come first wins, so `/a/:x/c` goes before `/:x/b/c`. `/feed/*` stands for
/// everything below `/feed/`, that path included, but not for `/feed`. A parameter never stands for an empty segment.
package struct Router: Sendable {
    /// The route a path belongs to, and what its variable parts stand for.
    package struct Match: Sendable, Equatable {
        /// Index of the pattern the router was built from.
        package var route: Int
        /// What the parameters stand for, raw, in the order of the pattern's `parameterNames`.
        package var parameters: [Range<Int>]
        /// What `/*` stands for, raw and without a leading slash; nil when the pattern does not end in it.
        package var remainder: Range<Int>?
    }

    private struct Exact: Sendable {
        let bytes: [UInt8]
        let route: Int
    }

    private struct Variable: Sendable {
        let segments: [RoutePattern.Segment]
        let route: Int
        let parameterCount: Int
    }

    /// By length, then by bytes.
    private let exact: [Exact]
    /// By count of segments, then best first.
    private let variable: [Variable]
    /// Most segments first, then best first.
    private let prefixes: [Variable]

    /// Makes a router; of two patterns with the same shape, which a configuration never has, one is not reached.
    package init(_ patterns: [RoutePattern]) {
        var exact: [Exact] = []
        var variable: [Variable] = []
        var prefixes: [Variable] = []
        for (route, pattern) in patterns.enumerated() {
            let entry = Variable(
                segments: pattern.segments, route: route, parameterCount: pattern.parameterNames.count)
            switch pattern.kind {
            case .exact: exact.append(Exact(bytes: Array(pattern.description.utf8), route: route))
            case .parameter: variable.append(entry)
            case .prefix: prefixes.append(entry)
            }
        }
        self.exact = exact.sorted { Self.isBefore($0.bytes, $1.bytes) }
        self.variable = variable.sorted { first, second in
            guard first.segments.count == second.segments.count else {
                return first.segments.count < second.segments.count
            }
            return Self.isBetter(first, second)
        }
        self.prefixes = prefixes.sorted { first, second in
            guard first.segments.count == second.segments.count else {
                return first.segments.count > second.segments.count
            }
            return Self.isBetter(first, second)
        }
    }

    /// The route of a normalised path; `segments` are the ranges between its slashes, an empty last one included.
    package func match(path: borrowing [UInt8], segments: [Range<Int>]) -> Match? {
        if let route = exactRoute(of: path) { return Match(route: route, parameters: [], remainder: nil) }
        for candidate in variable where candidate.segments.count == segments.count {
            if fits(candidate, path, segments) {
                return Match(route: candidate.route, parameters: parameters(of: candidate, segments), remainder: nil)
            }
        }
        // Something, if only an empty segment, has to be left for `*`.
        for candidate in prefixes where candidate.segments.count < segments.count {
            if fits(candidate, path, segments) {
                let remainder = segments[candidate.segments.count].lowerBound..<path.count
                return Match(
                    route: candidate.route, parameters: parameters(of: candidate, segments), remainder: remainder)
            }
        }
        return nil
    }

    private func exactRoute(of path: borrowing [UInt8]) -> Int? {
        var low = 0
        var high = exact.count
        while low < high {
            let middle = low + (high - low) / 2
            if exact[middle].bytes == path { return exact[middle].route }
            if Self.isBefore(exact[middle].bytes, path) { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    private static func isBefore(_ first: borrowing [UInt8], _ second: borrowing [UInt8]) -> Bool {
        guard first.count == second.count else { return first.count < second.count }
        for index in first.indices where first[index] != second[index] { return first[index] < second[index] }
        return false
    }

    private static func isBetter(_ first: Variable, _ second: Variable) -> Bool {
        for (one, other) in zip(first.segments, second.segments) {
            switch (one, other) {
            case (.literal, .parameter): return true
            case (.parameter, .literal): return false
            case (.literal, .literal), (.parameter, .parameter): continue
            }
        }
        return false
    }

    private func fits(_ candidate: Variable, _ path: borrowing [UInt8], _ segments: [Range<Int>]) -> Bool {
        for (index, segment) in candidate.segments.enumerated() {
            switch segment {
            case .literal(let bytes):
                guard Self.isEqual(bytes, path, segments[index]) else { return false }
            case .parameter:
                guard !segments[index].isEmpty else { return false }
            }
        }
        return true
    }

    private static func isEqual(_ bytes: [UInt8], _ path: borrowing [UInt8], _ range: Range<Int>) -> Bool {
        guard bytes.count == range.count, range.lowerBound >= 0, range.upperBound <= path.count else { return false }
        for index in bytes.indices where bytes[index] != path[range.lowerBound + index] { return false }
        return true
    }

    private func parameters(of candidate: Variable, _ segments: [Range<Int>]) -> [Range<Int>] {
        guard candidate.parameterCount > 0 else { return [] }
        var result: [Range<Int>] = []
        result.reserveCapacity(candidate.parameterCount)
        for (index, segment) in candidate.segments.enumerated() {
            switch segment {
            case .literal: continue
            case .parameter: result.append(segments[index])
            }
        }
        return result
    }
}
