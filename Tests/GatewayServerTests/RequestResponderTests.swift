import TestSupport
import Testing

@Suite("RequestResponder: what a request is answered")
struct RequestResponderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let request: [UInt8]
        let status: Int
        let word: String
        var testDescription: String { "\(status) \(word): \(String(decoding: request.prefix(60), as: UTF8.self))" }
    }

    static let cases: [Case] = [
        Case(request: TestClient.request("GET", "/nowhere"), status: 404, word: "no-route"),
        Case(request: TestClient.handshake("/nowhere"), status: 404, word: "no-route"),
        Case(request: TestClient.request("GET", "/mute"), status: 400, word: "not-a-websocket-request"),
        Case(request: TestClient.handshake("/probe?upgrade=reject"), status: 403, word: "handler-refused"),
        Case(request: TestClient.handshake("/probe?upgrade=fail"), status: 500, word: "handler-failed"),
        Case(request: TestClient.handshake("/probe?upgrade=teapot"), status: 418, word: "short and stout"),
        Case(
            request: TestClient.request("POST", "/probe", headers: ["Upgrade: websocket"]), status: 405,
            word: "method-not-allowed"),
        Case(request: TestClient.request("GET", "/probe?do=reject"), status: 404, word: "not-found"),
        Case(request: TestClient.request("GET", "/probe?do=fail"), status: 500, word: "handler-failed"),
        // GW_OK without a reply.
        Case(request: TestClient.request("GET", "/probe?do=none"), status: 500, word: "handler-failed"),
        Case(request: TestClient.request("GET", "/probe?do=hold"), status: 504, word: "reply-timeout"),
        Case(request: TestClient.handshake("/probe?upgrade=held"), status: 504, word: "reply-timeout"),
        Case(request: TestClient.request("GET", "/probe?do=inject"), status: 200, word: "-4"),
        Case(
            request: TestClient.request("POST", "/probe?do=body", headers: ["Content-Length: 4"], body: "body"),
            status: 200,
            word: "body"),
        Case(
            request: TestClient.request("POST", "/probe?do=body", headers: ["Content-Length: 9"], body: "too large"),
            status: 413, word: "content-too-large"),
        Case(
            request: TestClient.request(
                "POST", "/probe?do=body", headers: ["Transfer-Encoding: chunked"], body: "0\r\n\r\n"),
            status: 411, word: "length-required"),
        Case(
            request: TestClient.request("POST", "/probe?do=body", headers: ["Content-Length: 8"], body: "half"),
            status: 408, word: "request-timeout"),
        Case(request: Array("GET /probe HTTP/1.1\r\n".utf8), status: 408, word: "request-timeout"),
        Case(request: Array("GET /probe HTTP/1.1\n".utf8), status: 400, word: "bare-line-feed"),
    ]

    @Test(arguments: cases)
    func answers(_ test: Case) throws {
        let gateway = try TestGateway(
            route: "max_body 8; reply_timeout \(test.status == 504 ? "50ms" : "10s");",
            defaults: "handshake_timeout \(test.status == 408 ? "100ms" : "10s");",
            rest: "route /mute { handler echo; }")
        let client = try TestClient(port: gateway.port)
        try client.send(test.request)
        let response = try client.response()
        #expect(response.status == test.status)
        #expect(response.word.split(separator: "\n").first.map(String.init) == test.word)
        // A request that did not go well, or might be followed by frames, is the last one.
        if test.status == 408 || test.status == 405 || test.status == 418 { try client.expectEnd() }
    }

    @Test("the second reply answers GW_E_STATE, a later one GW_E_CLOSED")
    func repliesOnce() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        #expect(try client.get("/probe?do=twice").body == "first")
        #expect(try gateway.record(until: "second reply") == ["second reply -3"])
    }

    @Test("HEAD gets the head alone, requests in one packet are answered in order, and the connection lives")
    func keepsAlive() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        let post = TestClient.request("POST", "/probe?do=body", headers: ["Content-Length: 5"], body: "first")
        try client.send(
            TestClient.request("HEAD", "/probe?do=twice") + post + TestClient.request("GET", "/nowhere") + post)
        let head = try client.response(headOnly: true)
        #expect(head.status == 200 && head.head.contains("Content-Length: 5\r\n"))
        #expect(try client.response().body == "first")
        #expect(try client.response().status == 404)
        #expect(try client.response().body == "first")
        #expect(try client.get("/probe?do=twice").body == "first")
        try client.send(TestClient.handshake("/probe"))
        #expect(try client.readHead().hasPrefix("HTTP/1.1 101 "))
        try client.send("echo")
        #expect(try client.receive() == .text("echo"))
    }

    @Test("a client that waits for 100 Continue gets it, then the answer")
    func expectsContinue() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        try client.send(
            TestClient.request("POST", "/probe?do=body", headers: ["Content-Length: 4", "Expect: 100-continue"]))
        #expect(try client.readHead() == "HTTP/1.1 100 Continue\r\n\r\n")
        try client.send(Array("body".utf8))
        #expect(try client.response().body == "body")
    }

    @Test("a client may end its side behind a request")
    func halfCloses() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.request("GET", "/probe?do=large"))
        client.finishSending()
        #expect(try client.response().body.utf8.count == 256 * 1024)
        try client.expectEnd()
    }

    @Test("requests are not taken on while the answers before them are not read")
    func pipelinesWithinLimits() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port, receiveBuffer: 64 * 1024)
        let requests = (0..<300).flatMap { _ in TestClient.request("GET", "/probe?do=large") }
        try client.send(requests)
        #expect(try client.response().status == 200)
        let begun = try gateway.record().filter { $0 == "large" }.count
        #expect(begun < 100)
        for _ in 1..<300 { #expect(try client.response().body.utf8.count == 256 * 1024) }
    }

    @Test("frames in the packet of the handshake are frames")
    func framesBehindHandshake() throws {
        let gateway = try TestGateway()
        let frames = ClientFrame(1, Array("early".utf8)).octets + ClientFrame(9, [1, 2]).octets
        let client = try gateway.connect("?greet=welcome", with: frames)
        #expect(try client.receive() == .text("welcome"))
        #expect(try client.receive() == .text("early"))
        #expect(try client.receive() == TestClient.Frame(10, [1, 2]))
    }

    @Test("frames behind a handshake that waits for its answer wait, too")
    func framesBehindHeldHandshake() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/probe?upgrade=held") + ClientFrame(1, Array("early".utf8)).octets)
        try gateway.record(until: "held")
        try client.send("late")
        try gateway.answerHeld()
        #expect(try client.readHead().hasPrefix("HTTP/1.1 101 "))
        #expect(try client.receive() == .text("early"))
        #expect(try client.receive() == .text("late"))
        #expect(try gateway.record(until: "answered").contains("answered 0 again 1"))
    }

    @Test("a peer that leaves before the answer: opened and closed, or never opened")
    func leavesWhileHeld() throws {
        let gateway = try TestGateway()
        for round in 1...12 {
            let client = try TestClient(port: gateway.port)
            try client.send(TestClient.handshake("/probe?upgrade=held"))
            try gateway.record(until: "held", times: round)
            if round % 2 == 0 { client.reset() } else { client.close() }
            try gateway.answerHeld()
            try gateway.record(until: "answered", times: round)
        }
        var record = try gateway.record()
        let opened = record.filter { $0.hasPrefix("answered 0") }.count
        // A peer that only ended its stream is not noticed before it is answered.
        #expect(opened >= 6)
        record = try gateway.record(until: " close ", times: opened)
        #expect(record.endings.count == opened)
        #expect(record.filter { $0.contains(" open ") }.count == opened)
        #expect(record.endings.allSatisfy { $0.contains("close 1006 by 4") })
    }

    @Test("the client's first offer that is listed is chosen; the handler may choose another one that was offered")
    func subprotocols() throws {
        let gateway = try TestGateway(route: "subprotocols v1 v2;")
        let cases: [(query: String, offer: String, chosen: String?)] = [
            ("", "v2, v1", "v2"), ("", "v9, v1", "v1"), ("", "v9", nil), ("?protocol=v9", "v1, v9", "v9"),
            ("?protocol=v8", "v2", "v2"),
        ]
        for test in cases {
            let client = try TestClient(port: gateway.port)
            try client.send(
                TestClient.handshake("/probe\(test.query)", headers: ["Sec-WebSocket-Protocol: \(test.offer)"]))
            let head = try client.readHead()
            let line = head.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Protocol: ") }
            #expect(line.map { String($0.dropFirst(24)) } == test.chosen)
        }
        #expect(try gateway.record(until: "refused reply").contains("refused reply -4, then 0"))
    }
}
