import HTTP
import Testing

private let browser = """
    GET /chat/rooms/general?token=abc HTTP/1.1\r
    Host: localhost:8080\r
    Connection: keep-alive, Upgrade\r
    User-Agent:\tMozilla/5.0 (X11; Linux x86_64)\t \r
    Upgrade: websocket\r
    Origin: http://localhost:8080\r
    Sec-WebSocket-Version: 13\r
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r
    X-Empty:\r
    \r\n
    """

@Suite("A head reads the same however packets cut it")
struct CutTests {
    static let heads = [
        browser,
        "\r\n\r\nGET http://h:1/p?q HTTP/1.1\r\nHost: other\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\n\r\nbody follows",
        "POST /%7e/./x HTTP/1.1\r\nHOST: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \u{1}\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
    ]

    @Test(arguments: heads)
    func `byte by byte`(_ text: String) {
        let bytes = Array(text.utf8)
        let whole = read(bytes)
        #expect(whole != .needMore)
        #expect(read(bytes, cuts: 0..<bytes.count) == whole)
    }

    @Test(arguments: heads)
    func `cut at every point`(_ text: String) {
        let bytes = Array(text.utf8)
        let whole = read(bytes)
        for cut in bytes.indices { #expect(read(bytes, cuts: [cut]) == whole, "cut at \(cut)") }
    }

    @Test func `a prefix of a right head is never refused`() {
        let bytes = Array(browser.utf8)
        for count in bytes.indices { #expect(read(Array(bytes.prefix(count))) == .needMore) }
    }

    /// Looking at every byte again with each packet would take some hundred times as long as there is.
    @Test(.timeLimit(.minutes(1)))
    func `the time that a head takes is that of its length, however packets cut it`() throws {
        let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "y", count: 1 << 19))\r\n\r\n".utf8)
        var reader = RequestHeadReader(limits: HeadLimits(maxHead: 1 << 20, maxHeaders: 10))
        for known in 1..<bytes.count {
            guard case .needMore = try reader.read(bytes.span.bytes.extracting(0..<known)) else {
                Issue.record("a head of \(known) bytes")
                return
            }
        }
        guard case .head(_, bytes.count) = try reader.read(bytes.span.bytes) else {
            Issue.record("no head")
            return
        }
    }

    @Test func `bytes behind the head are left alone, and the reader is ready for the next one`() throws {
        let bytes = Array("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n".utf8)
        var reader = RequestHeadReader()
        guard case .head(let first, let length) = try reader.read(bytes.span.bytes) else {
            Issue.record("no head")
            return
        }
        #expect(first.target.path.decoded == Array("/1".utf8))
        #expect(reader.isAtStart)
        let rest = Array(bytes[length...])
        guard case .head(let second, let end) = try reader.read(rest.span.bytes) else {
            Issue.record("no second head")
            return
        }
        #expect(second.host.map(second.string) == "b")
        #expect(end == rest.count)
    }

    @Test func `a refused head stays refused`() {
        var bytes = Array("GET / HTTP/1.1\r\n\r\n".utf8)
        var reader = RequestHeadReader()
        #expect(throws: RequestHeadError.missingHost) { try reader.read(bytes.span.bytes) }
        bytes += Array("Host: a\r\n\r\n".utf8)
        #expect(throws: RequestHeadError.missingHost) { try reader.read(bytes.span.bytes) }
    }
}

@Suite("RFC 9112 2 to 5, what is refused")
struct RefusalTests {
    struct Case: CustomTestStringConvertible {
        let section: String
        let text: String
        let error: RequestHeadError?
        var testDescription: String { "\(section) \(text.debugDescription)" }

        init(_ section: String, _ text: String, _ error: RequestHeadError?) {
            self.section = section
            self.text = text
            self.error = error
        }
    }

    static let cases = [
        Case("2.2", "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", nil),
        Case("2.2", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
        Case("2.2", "\nGET / HTTP/1.1\r\n", .bareLineFeed),
        Case("2.2", "\rGET / HTTP/1.1\r\n", .bareCarriageReturn),
        Case("2.2", "GET / HTTP/1.1\n", .bareLineFeed),
        Case("2.2", "GET / HTTP/1.1\rHost: a", .bareCarriageReturn),
        Case("2.2", "GET / HTTP/1.1\r\nHost: a\n", .bareLineFeed),
        Case("2.2", "GET / HTTP/1.1\r\nHost: a\r\r\n", .bareCarriageReturn),
        Case("2.2", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
        Case("2.2", "GET / HTTP/1.1\r\nHost: a\r\n\rX", .bareCarriageReturn),
        Case("2.2", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", .obsoleteFolding),
        Case("2.3", "GET / HTTP/2.0\r\n", .unsupportedVersion),
        Case("2.3", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
        Case("2.3", "GET / HTTP/0.9\r\n", .unsupportedVersion),
        Case("2.3", "GET / HTTP/1.2\r\n", .unsupportedVersion),
        Case("2.3", "GET / http/1.1\r\n", .badRequestLine),
        Case("2.3", "GET / HTTP/1.10\r\n", .badRequestLine),
        Case("2.3", "GET / HTTP/1,1\r\n", .badRequestLine),
        Case("2.3", "GET / HTTPS/1.1\r\n", .badRequestLine),
        Case("3", "GET /\r\n", .badRequestLine),
        Case("3", "GET\r\n", .badRequestLine),
        Case("3", " GET / HTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET  / HTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET /  HTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET / HTTP/1.1 \r\n", .badRequestLine),
        Case("3", "GET / x HTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET\t/\tHTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET /\tx HTTP/1.1\r\n", .badRequestLine),
        Case("3", "GET /\0 HTTP/1.1\r\n", .badRequestLine),
        Case("3", "hello, is this HTTP?\r\n", .badRequestLine),
        Case("3", "\u{16}\u{3}\u{1}", .badRequestLine),
        Case("3.1", "G@T / HTTP/1.1\r\n", .badRequestLine),
        Case("3.1", String(repeating: "A", count: 32) + " / HTTP/1.1\r\nHost: a\r\n\r\n", nil),
        Case("3.1", String(repeating: "A", count: 33), .methodTooLong),
        Case("5.1", request("X : a"), .spaceBeforeColon),
        Case("5.1", request("X\t: a"), .spaceBeforeColon),
        Case("5.1", request(": a"), .badHeaderName),
        Case("5.1", request("no colon"), .spaceBeforeColon),
        Case("5.1", request("nocolon"), .badHeaderName),
        Case("5.1", request("X\0Y: a"), .badHeaderName),
        Case("5.1", request("X(Y): a"), .badHeaderName),
        Case("5.1", request("Xé: a"), .badHeaderName),
        Case("5.1", request("X!#$%&'*+-.^_`|~9: a"), nil),
        Case("5.2", request("X: a", " folded"), .obsoleteFolding),
        Case("5.2", request("X: a", "\tfolded"), .obsoleteFolding),
        Case("RFC 9110 5.5", request("X: a\0b"), .badHeaderValue),
        Case("RFC 9110 5.5", request("X: a\u{7F}b"), .badHeaderValue),
        Case("RFC 9110 5.5", request("X: a\u{1B}b"), .badHeaderValue),
        Case("RFC 9110 5.5", request("X: a\tb é"), nil),
    ]

    @Test(arguments: cases)
    func refusal(_ test: Case) {
        #expect(HTTPTests.refusal(test.text) == test.error)
    }
}

@Suite("Limits hold to the byte, before the end has arrived")
struct LimitTests {
    @Test(arguments: [(-1, nil), (0, nil), (1, RequestHeadError.requestLineTooLong)])
    func `request line`(_ excess: Int, _ error: RequestHeadError?) {
        let limits = HeadLimits(maxRequestLine: 100)
        let fixed = "GET / HTTP/1.1".utf8.count
        let line = "GET /\(String(repeating: "x", count: 100 + excess - fixed)) HTTP/1.1"
        #expect(line.utf8.count == 100 + excess)
        #expect(refusal(request(line: line), limits: limits) == error)
        #expect(refusal(line, limits: limits) == error)
    }

    @Test(arguments: [(-1, nil), (0, nil), (1, RequestHeadError.headTooLarge)])
    func `head`(_ excess: Int, _ error: RequestHeadError?) {
        let limits = HeadLimits(maxHead: 200)
        let fixed = request("X: ").utf8.count
        let bytes = Array(request("X: " + String(repeating: "x", count: 200 + excess - fixed)).utf8)
        #expect(bytes.count == 200 + excess)
        let whole = read(bytes, limits: limits)
        #expect(read(bytes, cuts: bytes.indices, limits: limits) == whole)
        if let error { #expect(whole == .refused(error)) } else { #expect(whole != .needMore) }
    }

    @Test func `an endless head is refused at its limit`() {
        let endless = Array(("GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 1000)).utf8)
        let limits = HeadLimits(maxHead: 200)
        #expect(read(Array(endless.prefix(199)), limits: limits) == .needMore)
        #expect(read(Array(endless.prefix(200)), limits: limits) == .refused(.headTooLarge))
    }

    @Test func `an endless target is a 414 also when the head is the smaller limit`() {
        let endless = "GET /" + String(repeating: "x", count: 1000)
        #expect(refusal(endless, limits: HeadLimits(maxHead: 200)) == .requestLineTooLong)
    }

    @Test(arguments: [(4, nil), (5, nil), (6, RequestHeadError.tooManyHeaders)])
    func `header lines`(_ count: Int, _ error: RequestHeadError?) {
        let lines = (1..<count).map { "X\($0): y\r\n" }.joined()
        let head = "GET / HTTP/1.1\r\nHost: a\r\n" + lines
        #expect(refusal(head + "\r\n", limits: HeadLimits(maxHeaders: 5)) == error)
        #expect(refusal(head, limits: HeadLimits(maxHeaders: 5)) == error)
    }

    @Test func `limits of nothing refuse and do not trap`() {
        #expect(refusal("G", limits: HeadLimits(maxHead: 0)) == .requestLineTooLong)
        #expect(refusal(request(), limits: HeadLimits(maxHeaders: 0)) == .tooManyHeaders)
        #expect(refusal(request(), limits: HeadLimits(maxHead: -1, maxHeaders: -1, maxRequestLine: -1)) != nil)
    }
}

@Suite("Mutations of right heads never trap and never depend on cuts")
struct MutationTests {
    @Test(arguments: 0..<8)
    func mutated(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let interesting = Array("\r\n\0\t :,;%/.?&=+\"\\#*2eF{}[]\u{7F}".utf8) + [0x80, 0xC0, 0xFF]
        for _ in 0..<400 {
            var bytes = Array(CutTests.heads.randomElement(using: &random)!.utf8)
            for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[place] = interesting.randomElement(using: &random)!
                case 1: bytes.insert(interesting.randomElement(using: &random)!, at: place)
                case 2: bytes.remove(at: place)
                case 3: bytes[place] = UInt8.random(in: 0...255, using: &random)
                default: bytes.insert(contentsOf: bytes[..<place].suffix(20), at: place)
                }
            }
            let whole = read(bytes)
            let cuts = (0..<4).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
            #expect(read(bytes, cuts: cuts) == whole, "\(bytes)")
            #expect(read(bytes, cuts: bytes.indices) == whole, "\(bytes)")
            exercise(bytes)
        }
    }

    /// Calls every look-up on what was accepted.
    private func exercise(_ bytes: [UInt8]) {
        var reader = RequestHeadReader()
        guard case .head(let head, let length)? = try? reader.read(bytes.span.bytes) else { return }
        #expect(length <= bytes.count)
        let path = head.target.path
        #expect(String(validating: path.decoded, as: UTF8.self) != nil)
        for segment in path.segments { _ = path.decode(segment) }
        for field in head.fields {
            let name = head.string(field.name)
            #expect(head.first(name) != nil)
            _ = Array(head.elements(of: name))
            _ = head.hasToken("x", in: name)
        }
        let key = Array("q".utf8)
        _ = head.queryValue(key.span)
        _ = head.cookieValue(key.span)
    }
}
