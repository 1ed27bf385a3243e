import TestSupport
import Testing

@testable import GatewayServer

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
        let frames = ClientFrame(1, Array("early".utf8)).bytes + ClientFrame(9, [1, 2]).bytes
        let client = try gateway.connect("?greet=welcome", with: frames)
        #expect(try client.receive() == .text("welcome"))
        #expect(try client.receive() == .text("early"))
        #expect(try client.receive() == TestClient.Frame(10, [1, 2]))
    }

    @Test("frames behind a handshake that waits for its answer wait, too")
    func framesBehindHeldHandshake() throws {
        let gateway = try TestGateway()
        let client = try TestClient(port: gateway.port)
        try client.send(TestClient.handshake("/probe?upgrade=held") + ClientFrame(1, Array("early".utf8)).bytes)
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

@Suite("A request responder, turn by turn")
struct RequestResponderTurnTests {
    private static func get(_ path: String, _ headers: String...) -> [UInt8] {
        TestClient.request("GET", path, headers: headers)
    }

    private static func post(_ body: String, length: Int? = nil, _ headers: String...) -> [UInt8] {
        TestClient.request(
            "POST", "/echo?do=body", headers: ["Content-Length: \(length ?? body.utf8.count)"] + headers, body: body)
    }

    private func start() throws -> StepWorker {
        try StepWorker(
            handler: "fixture_probe", route: "max_body 8; max_connections 1; reply_timeout 320ms;",
            rest: "defaults { handshake_timeout 320ms; } route /mute { handler echo; } route /gone { handler nowhere; }"
        )
    }

    /// The heads and bodies of all responses that a peer was told.
    private func responses(_ peer: StepWorker.Peer, headOnly: Bool = false) -> [(head: String, body: String)] {
        var rest = peer.response()
        var all: [(head: String, body: String)] = []
        while let end = rest.firstRange(of: "\r\n\r\n") {
            let head = String(rest[..<end.upperBound])
            let length = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
            let count = headOnly ? 0 : length.flatMap { Int($0.dropFirst(16)) } ?? 0
            all.append((head, String(rest[end.upperBound...].prefix(count))))
            rest = String(rest[end.upperBound...].dropFirst(count))
        }
        #expect(rest.isEmpty)
        return all
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let rejection: Rejection
        let request: [UInt8]
        /// What has happened to the worker before.
        var situation = Situation.none
        /// The connection serves another request.
        var keepsAlive = true
        var testDescription: String { "\(rejection.status) \(rejection.word), \(rejection.sentence)" }
    }

    enum Situation: Sendable {
        case none
        case draining
        case surplus
        case late
        case full
    }

    private static let handshake = TestClient.handshake("/echo")

    static let cases: [Case] = [
        Case(rejection: .draining, request: get("/echo"), situation: .draining, keepsAlive: false),
        Case(rejection: .draining, request: handshake, situation: .draining, keepsAlive: false),
        Case(rejection: .tooManyConnections, request: get("/echo"), situation: .surplus, keepsAlive: false),
        Case(rejection: .routeFull, request: handshake, situation: .full, keepsAlive: false),
        Case(rejection: .noRoute, request: get("/elsewhere")),
        Case(rejection: .noRoute, request: TestClient.handshake("/elsewhere"), keepsAlive: false),
        Case(rejection: .noRoute, request: get("/elsewhere", "Content-Length: 3") + [1, 2, 3], keepsAlive: false),
        Case(rejection: .requestTimeout, request: Array("GET /".utf8), situation: .late, keepsAlive: false),
        Case(rejection: .bodyTimeout, request: post("bod", length: 4), situation: .late, keepsAlive: false),
        Case(rejection: .replyTimeout, request: get("/echo?do=hold"), situation: .late, keepsAlive: false),
        Case(rejection: .handlerRefused, request: TestClient.handshake("/echo?upgrade=reject"), keepsAlive: false),
        Case(rejection: .notFound, request: get("/echo?do=reject")),
        Case(rejection: .handlerFailed, request: get("/echo?do=fail")),
        Case(rejection: .handlerFailed, request: get("/echo?do=nothing")),
        Case(rejection: .handlerFailed, request: TestClient.handshake("/echo?upgrade=fail"), keepsAlive: false),
        Case(rejection: .notWebSocket, request: get("/mute")),
        Case(rejection: .lengthRequired, request: get("/echo", "Transfer-Encoding: chunked"), keepsAlive: false),
        Case(rejection: .contentTooLarge, request: post("123456789"), keepsAlive: false),
        Case(rejection: .unavailable("nowhere"), request: get("/gone")),
        Case(rejection: .unavailable("nowhere"), request: TestClient.handshake("/gone"), keepsAlive: false),
    ]

    @Test(arguments: cases)
    func `says why it does not serve`(test: Case) throws {
        let steps = try start()
        if test.situation == .full { _ = steps.open() }
        if test.situation == .draining { steps.server.context.isDraining.store(true, ordering: .relaxed) }
        let peer = steps.connect(isSurplus: test.situation == .surplus)
        peer.say(test.request)
        steps.step()
        if test.situation == .late { steps.step(ticks: 10) }
        let answers = responses(peer)
        #expect(answers.count == 1)
        #expect(answers.first?.head.hasPrefix("HTTP/1.1 \(test.rejection.status) ") == true)
        #expect(answers.first?.body == "\(test.rejection.word): \(test.rejection.sentence)\n")
        #expect(answers.first?.head.contains("\r\nConnection: \(test.keepsAlive ? "keep-alive" : "close")\r\n") == true)
        #expect(steps.server.context.rejections.all.map(\.word) == [test.rejection.word])
        #expect(peer.isFinished != test.keepsAlive && peer.phase == (test.keepsAlive ? .head : .lingering))
        // Nothing behind it is served unless it says so.
        peer.say(Self.get("/mute"))
        steps.step()
        #expect(responses(peer).count == (test.keepsAlive ? 1 : 0))
        peer.finish()
        steps.step()
        #expect(peer.place == nil)
        let isOpen = test.situation == .full
        #expect(steps.binding().pointee.references.load(ordering: .relaxed) == (isOpen ? 1 : 0))
        #expect(isOpen || steps.isDeserted)
    }

    @Test func `a refused head ends the connection, whatever stands behind it`() throws {
        let steps = try start()
        let peer = steps.connect()
        peer.say(Array("GET /mute HTTP/1.1\n\r\n\r\n".utf8) + Self.get("/mute"))
        steps.step()
        let answers = responses(peer)
        #expect(answers.count == 1 && answers.first?.body.hasPrefix("bare-line-feed: ") == true)
        #expect(peer.phase == .lingering && steps.server.context.rejections.all.map(\.word) == ["bare-line-feed"])
    }

    @Test func `requests in one packet are answered in their order, whole and cut anywhere`() throws {
        let requests = Self.post("one") + Self.get("/mute") + Self.post("") + Self.get("/echo?do=twice")
        for size in [1, 2, 7, 64, requests.count] {
            let steps = try start()
            let peer = steps.connect()
            var rest = requests[...]
            while !rest.isEmpty {
                peer.say(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                steps.step()
            }
            let answers = responses(peer)
            #expect(answers.map { $0.head.split(separator: " ")[1] } == ["200", "400", "200", "200"], "\(size)")
            #expect(answers.map(\.body).filter { !$0.hasPrefix("not-a") } == ["one", "", "first"])
            #expect(peer.phase == .head && !peer.isFinished)
        }
    }

    @Test func `HEAD is answered without a body, HTTP 1.0 and Connection close with an end`() throws {
        let steps = try start()
        let peer = steps.connect()
        peer.say(TestClient.request("HEAD", "/echo?do=twice") + TestClient.request("HEAD", "/elsewhere"))
        steps.step()
        let heads = responses(peer, headOnly: true).map(\.head)
        #expect(heads.count == 2 && heads.first?.contains("\r\nContent-Length: 5\r\n") == true)
        peer.say(Self.get("/echo?do=twice", "Connection: close"))
        steps.step()
        #expect(responses(peer).first?.head.contains("\r\nConnection: close\r\n") == true && peer.isFinished)
        let old = steps.connect(saying: "GET /echo?do=twice HTTP/1.0\r\n\r\n")
        steps.step()
        #expect(responses(old).first?.body == "first" && old.isFinished)
    }

    @Test(arguments: [1, 3, 4, 8])
    func `a body comes in pieces of any size`(size: Int) throws {
        let steps = try start()
        let peer = steps.connect()
        peer.say(Self.post("", length: 8))
        steps.step()
        var rest = Array("the body".utf8)[...]
        while !rest.isEmpty {
            #expect(peer.phase == .body && peer.heard().isEmpty)
            peer.say(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            steps.step()
        }
        #expect(responses(peer).map(\.body) == ["the body"])
        #expect(peer.phase == .head)
    }

    @Test func `what follows a body is the next request`() throws {
        let steps = try start()
        let peer = steps.connect()
        peer.say(Self.post("", length: 4))
        peer.say(Array("bo".utf8))
        steps.step()
        peer.say(Array("dy".utf8) + Self.post("next") + Array("GET /mu".utf8))
        steps.step()
        #expect(responses(peer).map(\.body) == ["body", "next"])
        peer.say(Array("te HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        steps.step()
        #expect(responses(peer).count == 1)
    }

    @Test func `who expects 100 is told to go on, before the body and only then`() throws {
        let steps = try start()
        let peer = steps.connect()
        peer.say(Self.post("", length: 4, "Expect: 100-continue"))
        steps.step()
        #expect(peer.response() == "HTTP/1.1 100 Continue\r\n\r\n")
        peer.say(Array("body".utf8))
        steps.step()
        #expect(responses(peer).map(\.body) == ["body"])
        // Not where there is none, nor where it is refused, nor in HTTP 1.0.
        peer.say(Self.post("", "Expect: 100-continue"))
        steps.step()
        #expect(responses(peer).map { $0.head.prefix(12) } == ["HTTP/1.1 200"])
        peer.say(Self.post("", length: 9, "Expect: 100-continue"))
        steps.step()
        #expect(responses(peer).map { $0.head.prefix(12) } == ["HTTP/1.1 413"])
        let old = steps.connect(
            saying: "POST /echo?do=body HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        steps.step()
        #expect(old.heard().isEmpty)
    }

    @Test func `what comes while a handler makes up its mind waits`() throws {
        let steps = try start()
        let peer = steps.open("/echo?upgrade=held")
        peer.say("early")
        steps.step()
        #expect(peer.phase == .answering && peer.heard().isEmpty)
        #expect(steps.route().connections.load(ordering: .relaxed) == 1)
        _ = steps.get("/echo?do=answer")
        steps.step()
        #expect(peer.frames() == [.text("early")])
        #expect(steps.record().filter { !$0.contains("worker") } == ["held", "answered 0 again 1", "1 message 1 3 5"])
    }

    @Test func `a late answer to a request lets the next one begin`() throws {
        let steps = try start()
        // Answered when it stands in the record.
        let waiting = steps.connect()
        waiting.say(Self.get("/echo?until=held") + Self.get("/mute"))
        steps.step()
        #expect(waiting.phase == .answering && waiting.heard().isEmpty)
        _ = steps.open("/echo?upgrade=held")
        steps.step()
        #expect(responses(waiting).map { $0.head.prefix(12) } == ["HTTP/1.1 200", "HTTP/1.1 400"])
        #expect(waiting.phase == .head)
    }

    @Test func `requests wait while too much of the answers before them is unread`() throws {
        let steps = try start()
        let peer = steps.connect(window: 1000)
        for _ in 0..<3 { peer.say(Self.get("/echo?do=large")) }
        steps.step()
        #expect(steps.record().filter { $0 == "large" }.count == 1)
        peer.widen(by: 256 * 1024 - 1000)
        steps.step()
        #expect(steps.record().filter { $0 == "large" }.count == 2)
        peer.widen(by: .max / 2)
        steps.step()
        #expect(steps.record().filter { $0 == "large" }.count == 3)
        #expect(peer.heard().count > 3 * 256 * 1024 && peer.phase == .head)
    }
}
