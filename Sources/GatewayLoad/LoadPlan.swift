package import GatewayTLS

/// What the load generator is to do, as read from its command line.
package struct LoadPlan: Sendable {
    /// The kind of load.
    package enum Mode: String, CaseIterable, Sendable {
        /// Messages go out and come back.
        case echo
        /// Connections open with a handshake and close with another.
        case connect
        /// One connection publishes, all of them hear it.
        case fanout
        /// Connections are opened and held.
        case idle
    }

    /// What messages are made of.
    package enum Content: String, Sendable {
        /// Text of ASCII.
        case text
        /// Text with characters of one to four bytes.
        case utf8
        /// Text as APIs send it: what compression is made for.
        case records
        case binary
    }

    package var mode = Mode.echo
    package var destination: Destination
    package var connections = 64
    /// Messages under way on each connection.
    package var depth = 1
    /// Messages under way on one connection more, which is not measured but makes a neighbour of itself; 0 = none.
    package var flood = 0
    /// Bytes of a message.
    package var size = 20
    package var content = Content.text
    /// Messages or handshakes a second over all connections; nil begins the next one when the last one is done.
    package var rate: Double?
    package var seconds = 5.0
    package var warmup = 0.5
    /// Ends the run after so many messages instead of after a time.
    package var messages: Int?
    /// Publications under way.
    package var window = 8
    /// How long idle connections are held.
    package var hold = 5.0
    /// Handshakes under way while connections are opened.
    package var ramp = 128
    /// Processes whose time and memory are reported.
    package var processes: [Int32] = []
    /// The width of the buckets of the timeline.
    package var timelineMilliseconds: Int?
    package var subprotocol: String?
    /// Further lines of the request.
    package var headers: [String] = []
    /// Who may vouch for the server of a `wss:` URL.
    package var trust = TLSClient.Trust.system
    /// TLS goes on with an earlier session instead of making a new one.
    package var resumes = false
    /// permessage-deflate is offered and used.
    package var deflates = false
    /// Each WebSocket is a stream of a connection of HTTP/2 (RFC 8441).
    package var speaksHTTP2 = false
    package var wantsJSON = false

    package init(destination: Destination) { self.destination = destination }

    /// Bytes that the frames under way on one connection may take together, as they are laid out in memory.
    static let mostBytes = 256 << 20
    /// A publication carries its number.
    static let leastPublication = 16

    /// Reads what stands behind `gateway bench`.
    package init(_ arguments: [String]) throws(LoadUsageError) {
        var reader = ArgumentReader(arguments)
        var mode = Mode.echo
        var url: String?
        var options: [(name: String, value: String?)] = []
        while let word = reader.next() {
            if word.hasPrefix("-") {
                options.append((word, try reader.value(of: word)))
            } else if let named = Mode(rawValue: word), url == nil {
                mode = named
            } else if url == nil {
                url = word
            } else {
                throw LoadUsageError("\"\(word)\" is one argument too many")
            }
        }
        guard let url else { throw LoadUsageError("a URL is missing, like ws://127.0.0.1:8080/echo") }
        self.init(destination: try Destination(url: url))
        self.mode = mode
        switch mode {
        case .fanout: (connections, size) = (500, 64)
        case .idle: connections = 10_000
        case .echo, .connect: break
        }
        for option in options { try apply(option.name, option.value ?? "") }
        try check()
    }

    private mutating func apply(_ name: String, _ value: String) throws(LoadUsageError) {
        func number(_ range: ClosedRange<Int>) throws(LoadUsageError) -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw LoadUsageError("\(name) is from \(range.lowerBound) to \(range.upperBound), not \"\(value)\"")
            }
            return number
        }
        func seconds() throws(LoadUsageError) -> Double {
            guard let number = Double(value), (0...86_400).contains(number) else {
                throw LoadUsageError("\(name) is from 0 to 86400 seconds, not \"\(value)\"")
            }
            return number
        }
        switch name {
        case "-c", "--connections": connections = try number(1...1_000_000)
        case "-d", "--depth": depth = try number(1...65_536)
        case "--flood": flood = try number(1...65_536)
        case "-s", "--size": size = try number(0...(64 << 20))
        case "--text": content = .text
        case "--utf8": content = .utf8
        case "--records": content = .records
        case "--binary": content = .binary
        case "--rate":
            guard let number = Double(value), number >= 0.001, number <= 1e8 else {
                throw LoadUsageError("--rate is messages or handshakes a second, not \"\(value)\"")
            }
            rate = number
        case "--seconds": self.seconds = try seconds()
        case "--warmup": warmup = try seconds()
        case "--messages": messages = try number(1...1_000_000_000_000)
        case "--window": window = try number(1...65_536)
        case "--hold": hold = try seconds()
        case "--ramp": ramp = try number(1...65_536)
        case "--pid": processes.append(Int32(truncatingIfNeeded: try number(1...Int(Int32.max))))
        case "--timeline": timelineMilliseconds = try number(1...60_000)
        case "--protocol": subprotocol = value
        case "-H", "--header": headers.append(value)
        case "--cacert": trust = .file(value)
        case "--insecure": trust = .anybody
        case "--resume": resumes = true
        case "--deflate": deflates = true
        case "--http2": speaksHTTP2 = true
        case "--json": wantsJSON = true
        default: throw LoadUsageError("unknown option \"\(name)\" of \"bench\"", unknownOption: name)
        }
    }

    private func check() throws(LoadUsageError) {
        // The longest header of a client's frame has 14 bytes.
        let frames = (size + 14).multipliedReportingOverflow(by: mode == .fanout ? window : max(depth, flood))
        guard !frames.overflow, frames.partialValue <= Self.mostBytes else {
            throw LoadUsageError("messages of \(size) bytes are too many under way to hold in memory")
        }
        if mode == .fanout, !(Self.leastPublication...4096).contains(size) {
            throw LoadUsageError("--size of a publication is from \(Self.leastPublication) to 4096")
        }
        if flood > 0, mode != .echo { throw LoadUsageError("--flood is for echo") }
        if rate != nil, mode != .echo, mode != .connect { throw LoadUsageError("--rate is for echo and connect") }
        if messages != nil, mode == .idle { throw LoadUsageError("--messages is not for idle") }
        if !destination.isSecure, trust != .system || resumes {
            throw LoadUsageError("--cacert, --insecure and --resume are for a wss: URL")
        }
        if resumes, mode != .connect { throw LoadUsageError("--resume is for connect") }
        for line in headers + [subprotocol ?? ""] where !line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) {
            throw LoadUsageError("a header has a control character")
        }
        for line in headers where !line.dropFirst().contains(":") {
            throw LoadUsageError("\"\(line)\" is no header like 'Name: value'")
        }
    }
}

/// Takes words from the front; `--name=value` is two of them.
private struct ArgumentReader {
    private var words: ArraySlice<String>
    private var attached: String?
    private static let flags: Set<String> = [
        "--text", "--utf8", "--records", "--binary", "--json", "--insecure", "--resume", "--deflate", "--http2",
    ]

    init(_ words: [String]) { self.words = words[...] }

    mutating func next() -> String? {
        guard let word = words.popFirst() else { return nil }
        guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else { return word }
        attached = String(word[word.index(after: equals)...])
        return String(word[..<equals])
    }

    /// The value of an option; nil when it takes none.
    mutating func value(of name: String) throws(LoadUsageError) -> String? {
        let given = attached
        attached = nil
        if Self.flags.contains(name) {
            guard given == nil else { throw LoadUsageError("\(name) takes no value") }
            return nil
        }
        guard let value = given ?? words.popFirst() else { throw LoadUsageError("\(name) needs a value") }
        return value
    }
}
