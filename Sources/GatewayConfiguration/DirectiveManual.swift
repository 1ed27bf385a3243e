/// The language of gateway.conf as its manual tells it, from the rows that files are read by.
package struct DirectiveManual: Sendable {
    /// One directive.
    package struct Entry: Sendable, Equatable {
        package let name: String
        /// What it is for.
        package let text: String
        /// What it takes, what holds without it, and where it may stand: sentences.
        package let facts: String
    }

    /// The directives of one kind of block.
    package struct Section: Sendable {
        package let title: String
        package let entries: [Entry]
    }

    /// Every row is in the first section that has a place for it.
    private static let titles: [(title: String, places: Place)] = [
        ("The gateway", .top), ("The block of listen", [.listen, .tls]), ("The block of trusted_proxies", .proxies),
        ("The block of plugins", .plugins), ("The block of admin", .admin),
        ("The block of cluster", .cluster),
        ("The blocks of defaults and route", [.defaults, .route]), ("The block of compression", .compression),
    ]

    package static let sections: [Section] = {
        var rest = Directive.table[...]
        var sections = titles.map { title, places in
            let rows = rest.filter { !$0.places.isDisjoint(with: places) }
            rest.removeAll { !$0.places.isDisjoint(with: places) }
            return Section(title: title, entries: rows.map { Entry($0) })
        }
        // A block that came later.
        if !rest.isEmpty { sections.append(Section(title: "Other blocks", entries: rest.map { Entry($0) })) }
        return sections
    }()
}

extension DirectiveManual.Entry {
    init(_ row: Directive) {
        name = row.name
        text = row.meaning?.text ?? ""
        var sentences: [String] = []
        if !row.expected.isEmpty { sentences.append("Takes \(row.expected)\(row.range).") }
        switch row.block {
        case .never: break
        case .optional: sentences.append("May have a block.")
        case .required: sentences.append("Has a block.")
        }
        if row.isRepeatable { sentences.append("May be repeated.") }
        if let standard = row.meaning?.standard ?? row.text(in: Scope()) {
            sentences.append("Default: \(standard).")
        }
        sentences.append("Stands \(row.places.phrase).")
        facts = sentences.joined(separator: " ")
    }
}

extension Directive {
    /// The least and the most it takes, as they follow what it takes; empty where there is no such thing.
    fileprivate var range: String {
        switch setting {
        case .bytes(_, let range): Self.text(range) { Unit.text(bytes: $0) }
        case .count(_, let range): Self.text(range) { String($0) }
        case .countOrOff(_, let range): Self.text(range) { String($0) }
        case .time(_, let range): Self.text(range) { Unit.text(milliseconds: $0) }
        case .timeOrOff(_, let range): Self.text(range) { Unit.text(milliseconds: $0) }
        case .probation(_, let range), .checkpoint(_, let range): Self.text(range) { Unit.text(milliseconds: $0) }
        case .recycling:
            Self.text(Isolation.Recycling.sizes) { Unit.text(bytes: $0) } + " and"
                + Self.text(Isolation.Recycling.ages) { Unit.text(milliseconds: $0) }.dropFirst()
        case .flag, .policy, .slowConsumer, .dispatch, .isolation, .crash, .topics, .logLevel, .compression, .origin,
            .fileMode, .name, .forwarding, .rate, .addresses, .special:
            ""
        }
    }

    private static func text(_ range: ClosedRange<Int64>, _ form: (Int64) -> String) -> String {
        ", from \(form(range.lowerBound)) to \(form(range.upperBound))"
    }
}
