/// What signals do to a gateway that serves, for help and manual.
struct SignalMeaning: Sendable {
    let names: [String]
    let text: String

    static let all = [
        SignalMeaning(
            names: ["TERM", "INT"],
            text: "ends it gracefully: connections are told (1001); a second one ends it at once"),
        SignalMeaning(names: ["HUP"], text: "does what `gateway reload` does"),
        SignalMeaning(names: ["USR1"], text: "opens the files of logs again, for logrotate"),
        SignalMeaning(names: ["USR2"], text: "does what `gateway upgrade` does"),
    ]

    /// Lines of a help text.
    static let rows = all.map { signal in
        let names = signal.names.joined(separator: ", ")
        return "  \(names)\(String(repeating: " ", count: 11 - names.count))\(signal.text)\n"
    }.joined()
}
