/// What comes from an engine while another program of this gateway hears it for both: that one passes it on, until it ends.
/// What it has not passed on has come here as well, and is kept for as long.
struct TwinPublications {
    struct Kept {
        let topic: TopicName
        let name: [UInt8]
        let head: Envelope
        let payload: [UInt8]

        fileprivate var weight: Int { payload.count + name.count + 128 }
    }

    /// Whose publications to what have numbers one behind the other.
    private struct Line: Hashable {
        let name: [UInt8]
        let origin: UInt64
    }

    /// Bytes that may be kept.
    private static let most = 64 << 20

    private var kept: [Line: KeptLine] = [:]
    private var bytes = 0
    /// So many have been kept.
    private var count: UInt64 = 0
    /// By name.
    private(set) var passed: [[UInt8]: OriginNumbers]
    /// There was too much to keep, or something has come neither way.
    private(set) var hasLost = false

    /// - Parameter passed: what had come before there was a twin.
    init(behind passed: [[UInt8]: OriginNumbers]) { self.passed = passed }

    /// The engine has brought one.
    mutating func keep(_ one: Kept) {
        let line = Line(name: one.name, origin: one.head.origin)
        if passed[one.name]?.covers(one.head.number, of: one.head.origin) ?? false { return }
        count += 1
        bytes += one.weight
        kept[line, default: KeptLine()].append(one, count)
        if bytes > Self.most { (kept, bytes, hasLost) = ([:], 0, true) }
    }

    /// The twin passes one on.
    ///
    /// - Returns: those before it that it has not passed on, and what its number means behind them.
    mutating func pass(_ id: PublicationID, _ name: [UInt8]) -> ([Kept], OriginNumbers.Verdict) {
        let line = Line(name: name, origin: id.origin)
        var missed: [Kept] = []
        while let number = kept[line]?.first?.head.number, number <= id.number, let one = kept[line]?.popFirst() {
            bytes -= one.weight
            if number < id.number, note(number, line) != .doubled { missed.append(one) }
        }
        if kept[line]?.first == nil { kept[line] = nil }
        return (missed, note(id.number, line))
    }

    /// The twin hears a name only from now on: what has come of it counts as passed on.
    mutating func takeAll(of name: [UInt8]) -> [Kept] { takeAll { $0.name == name } }

    /// What came and has not been passed on, in its order.
    mutating func takeAll() -> [Kept] { takeAll { _ in true } }

    private mutating func takeAll(where isMeant: (Line) -> Bool) -> [Kept] {
        var taken: [(place: UInt64, one: Kept)] = []
        for line in kept.keys.filter(isMeant) {
            for (place, one) in kept.removeValue(forKey: line)?.all ?? [] {
                bytes -= one.weight
                switch note(one.head.number, line) {
                case .doubled: continue
                case .behind, .afresh: hasLost = true
                case .next: break
                }
                taken.append((place, one))
            }
        }
        return taken.sorted { $0.place < $1.place }.map(\.one)
    }

    private mutating func note(_ number: UInt64, _ line: Line) -> OriginNumbers.Verdict {
        passed[line.name, default: OriginNumbers()].take(number, of: line.origin, isFirst: false)
    }
}

/// Kept publications, the next one first, and which place each has among all.
private struct KeptLine {
    private var items: [(place: UInt64, one: TwinPublications.Kept)] = []
    /// Those before it have been taken.
    private var start = 0

    var first: TwinPublications.Kept? { start < items.count ? items[start].one : nil }

    var all: ArraySlice<(place: UInt64, one: TwinPublications.Kept)> { items[start...] }

    mutating func append(_ one: TwinPublications.Kept, _ place: UInt64) { items.append((place, one)) }

    mutating func popFirst() -> TwinPublications.Kept? {
        guard let first else { return nil }
        start += 1
        if start >= 64, start * 2 > items.count {
            items.removeFirst(start)
            start = 0
        }
        return first
    }
}
