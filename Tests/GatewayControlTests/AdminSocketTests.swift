import GatewayControl
import GatewayIO
import Glibc
import HTTP
import Testing

@Suite("The admin listener: several clients, none of which can hold the gateway up")
struct AdminSocketTests {
    private final class Folder {
        let path: String

        init() throws {
            var template = Array("/tmp/adminXXXXXX\0".utf8CString)
            path = String(cString: try #require(mkdtemp(&template)))
        }

        var socket: String { path + "/admin.sock" }

        deinit {
            unlink(socket)
            rmdir(path)
        }
    }

    /// A listener at a file, which is answered as soon as something is asked.
    private final class Listening {
        private let folder: Folder
        var socket: AdminSocket
        private(set) var asked: [AdminRequest.Asked] = []
        var now = Clock.monotonicNanoseconds()

        init() throws {
            folder = try Folder()
            socket = try AdminSocket(.privateUnix(path: folder.socket), AdminAccess(token: nil, hosts: nil))
        }

        func client(_ text: String = "") throws -> Socket {
            let client = try Socket(connectingTo: folder.socket, timeout: 20)
            try Self.say(client, text)
            return client
        }

        static func say(_ client: borrowing Socket, _ text: String) throws {
            let bytes = Array(text.utf8)
            if !bytes.isEmpty { try #require(client.write(bytes[...]) == .moved(bytes.count)) }
        }

        var hasDashboards: Bool { socket.hasDashboards }
        var owesAnswers: Bool { socket.owesAnswers }
        var hasNewcomers: Bool { socket.hasNewcomers }

        /// A unix socket delivers before `write` returns, so each turn gets on.
        func turn(_ count: Int = 10, body: String = "page\n") throws {
            for _ in 0..<count {
                for request in try socket.turn(now: now) {
                    asked.append(request.asked)
                    socket.answer(request.client, PlainResponse(status: 200, body: Array(body.utf8)), now: now)
                }
            }
        }
    }

    /// What has come, at least until `end`; all that comes where it is empty.
    private func answer(_ socket: borrowing Socket, until end: String = "") -> String {
        var bytes: [UInt8] = []
        while case .moved = socket.read(appendingTo: &bytes, atMost: 65536) {
            if !end.isEmpty, String(decoding: bytes, as: UTF8.self).contains(end) { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private let get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: a/b, c/d;q=0.5\r\nAccept: e/f\r\n\r\n"

    @Test func `a page is asked for and answered, and the connection stays for the next`() throws {
        let listening = try Listening()
        let client = try listening.client(get)
        try listening.turn()
        let first = answer(client, until: "page\n")
        #expect(first.hasPrefix("HTTP/1.1 200 OK\r\n") && first.contains("\r\nConnection: keep-alive\r\n"))
        #expect(first.contains("\r\nCache-Control: no-store\r\n") && first.hasSuffix("\r\n\r\npage\n"))
        #expect(listening.asked == [.page(.metrics, accept: "a/b, c/d;q=0.5,e/f")])
        try Listening.say(client, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try listening.turn()
        let second = answer(client, until: "close\r\n\r\n")
        #expect(second.contains("\r\nContent-Length: 5\r\n") && !second.contains("page"))
        #expect(listening.asked.last == .page(.health, accept: ""))
    }

    @Test func `whoever has come in is owed an answer, until it has all of it`() throws {
        let listening = try Listening()
        #expect(!listening.owesAnswers)
        let client = try listening.client()
        try listening.turn()
        #expect(listening.owesAnswers, "its request may be on the way")
        try Listening.say(client, String(get.prefix(20)))
        try listening.turn()
        #expect(listening.owesAnswers)
        try Listening.say(client, String(get.dropFirst(20)))
        try listening.turn()
        #expect(!listening.owesAnswers, "one that stays for its next request has what it asked for")
        #expect(answer(client, until: "page\n").contains("200 OK"))
        let other = try listening.client(live)
        try listening.turn()
        #expect(listening.socket.hasDashboards && !listening.owesAnswers)
        other.finishSending()
    }

    @Test func `requests that come together, or in pieces, are answered one after the other`() throws {
        let listening = try Listening()
        let client = try listening.client(get + get + String(get.prefix(20)))
        try listening.turn()
        #expect(listening.asked.count == 2)
        try Listening.say(client, String(get.dropFirst(20)))
        try listening.turn()
        #expect(listening.asked.count == 3)
        #expect(answer(client, until: "page\n").contains("200 OK"))
    }

    @Test(arguments: [
        ("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", "404 Not Found", "keep-alive"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", "keep-alive"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed", "close"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request", "close"),
        ("GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request", "close"),
        ("GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported", "close"),
        ("GET /metrics HTTP/1.0\r\n\r\n", "200 OK", "close"),
        (
            "GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 17_000) + "\r\n\r\n",
            "431 Request Header Fields Too Large", "close"
        ),
        ("GET /" + String(repeating: "x", count: 5000) + " HTTP/1.1\r\n", "414 URI Too Long", "close"),
    ])
    func `what is wrong is answered so`(request: String, status: String, connection: String) throws {
        let listening = try Listening()
        let client = try listening.client(request)
        try listening.turn()
        let answer = answer(client, until: "\r\n\r\n")
        #expect(answer.hasPrefix("HTTP/1.1 \(status)\r\n"), "\(answer)")
        #expect(answer.contains("\r\nConnection: \(connection)\r\n"))
        if status.hasPrefix("405") { #expect(answer.contains("\r\nAllow: GET, HEAD\r\n")) }
    }

    @Test func `who says nothing is closed, who says half of it is told`() throws {
        let listening = try Listening()
        let silent = try listening.client()
        let slow = try listening.client("GET /metrics HT")
        try listening.turn()
        #expect(listening.socket.deadline.map { $0 <= listening.now + AdminSocket.patience } == true)
        listening.now += AdminSocket.patience + 1
        try listening.turn()
        #expect(answer(silent) == "")
        #expect(answer(slow, until: "\r\n\r\n").hasPrefix("HTTP/1.1 408 "))
        listening.now += AdminSocket.patience
        try listening.turn()
        #expect(listening.socket.deadline == nil)
    }

    @Test func `a head that trickles in has no more time than another`() throws {
        let listening = try Listening()
        let client = try listening.client("G")
        for letter in "ET /metric" {
            listening.now += AdminSocket.patience / 8
            try Listening.say(client, String(letter))
            try listening.turn(1)
            if listening.socket.deadline.map({ $0 <= listening.now }) == true { break }
        }
        listening.now += AdminSocket.patience / 8
        try listening.turn()
        #expect(answer(client, until: "\r\n\r\n").hasPrefix("HTTP/1.1 408 "))
    }

    @Test func `who does not take the answer is let go`() throws {
        let listening = try Listening()
        let client = try listening.client(get)
        try listening.turn(body: String(repeating: "x", count: 8 << 20))
        listening.now += AdminSocket.patience + 1
        try listening.turn()
        #expect(listening.socket.deadline == nil)
        #expect(answer(client).utf8.count < 8 << 20)
    }

    @Test func `one who has asked nothing for long makes room; those who are asking do not`() throws {
        let listening = try Listening()
        let first = try listening.client(get)
        try listening.turn()
        #expect(answer(first, until: "page\n").contains("200"))
        var slow: [Client] = []
        for _ in 1..<AdminSocket.mostClients { slow.append(Client(try listening.client("GET /met"))) }
        try listening.turn()
        // It takes the place of the first.
        let next = try listening.client("GET /met")
        try listening.turn()
        #expect(answer(first) == "")
        let surplus = try listening.client(get)
        try listening.turn()
        #expect(answer(surplus).hasPrefix("HTTP/1.1 503 "))
        try Listening.say(next, String(get.dropFirst(8)))
        try listening.turn()
        #expect(answer(next, until: "page\n").contains("200 OK"))
        #expect(slow.count == AdminSocket.mostClients - 1)
    }

    private final class Client {
        let socket: Socket
        init(_ socket: consuming Socket) { self.socket = socket }
    }

    @Test func `who is let in may change without anybody being let go`() throws {
        let listening = try Listening()
        let client = try listening.client(get)
        try listening.turn()
        #expect(answer(client, until: "page\n").contains("200 OK"))
        listening.socket.access = AdminAccess(token: BearerToken("new"), hosts: nil)
        try Listening.say(client, get)
        try listening.turn()
        #expect(answer(client, until: "TOKEN\n").hasPrefix("HTTP/1.1 401 "))
        try Listening.say(client, get.replacing("Host:", with: "Authorization: Bearer new\r\nHost:"))
        try listening.turn()
        #expect(answer(client, until: "page\n").contains("200 OK"))
    }

    // MARK: Dashboards

    private let live =
        "GET /api/live HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    /// A frame of a client whose masking key is 0, so that its payload stands as it is.
    private func frame(_ opcode: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
        [0x80 | opcode, 0x80 | UInt8(payload.count), 0, 0, 0, 0] + payload
    }

    /// Bytes that have come to a dashboard.
    private func bytes(_ socket: borrowing Socket) -> [UInt8] {
        var bytes: [UInt8] = []
        _ = socket.read(appendingTo: &bytes, atMost: 65_536)
        return bytes
    }

    /// An open dashboard, behind its 101.
    private func opened(_ listening: Listening) throws -> Client {
        let client = Client(try listening.client(live))
        try listening.turn()
        let head = answer(client.socket, until: "\r\n\r\n")
        #expect(head.hasPrefix("HTTP/1.1 101 "))
        #expect(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
        // From here on nothing is waited for: what has been said is there.
        try #require(fcntl(client.socket.number, F_SETFL, O_NONBLOCK) == 0)
        return client
    }

    @Test func `a dashboard is told everything first, and then what is new`() throws {
        let listening = try Listening()
        #expect(!listening.hasDashboards)
        let first = try opened(listening)
        #expect(listening.hasDashboards && listening.hasNewcomers)
        listening.socket.tell(now: listening.now) { Array(($0 ? "all" : "new").utf8) }
        let (all, new): ([UInt8], [UInt8]) = ([0x81, 3, 0x61, 0x6C, 0x6C], [0x81, 3, 0x6E, 0x65, 0x77])
        #expect(bytes(first.socket) == all)
        let second = try opened(listening)
        listening.socket.tell(newcomersOnly: true, now: listening.now) { Array(($0 ? "all" : "new").utf8) }
        #expect(bytes(second.socket) == all)
        #expect(bytes(first.socket) == [])
        #expect(!listening.hasNewcomers)
        listening.socket.tell(now: listening.now) { Array(($0 ? "all" : "new").utf8) }
        #expect(bytes(first.socket) == new)
        #expect(bytes(second.socket) == new)
    }

    @Test func `what the protocol wants to hear is answered`() throws {
        let listening = try Listening()
        let client = try opened(listening)
        let ping = frame(9, [1, 2, 3])
        try #require(client.socket.write(ping[..<5]) == .moved(5))
        try listening.turn()
        #expect(bytes(client.socket) == [])
        var rest = Array(ping[5...])
        for each in [frame(1, [0x78]), frame(10), frame(8, [0x03, 0xE8])] { rest += each }
        try #require(client.socket.write(rest[...]) == .moved(rest.count))
        try listening.turn()
        #expect(bytes(client.socket) == [0x8A, 3, 1, 2, 3, 0x88, 2, 0x03, 0xE8])
        #expect(!listening.hasDashboards)
        listening.socket.tell(now: listening.now) { _ in [0x78] }
        #expect(bytes(client.socket) == [])
    }

    @Test(
        arguments: [
            ([0x81, 0x01, 0x78], 1002), ([0x81, 0xFE, 0x04, 0x01, 0, 0, 0, 0], 1009),
            ([0x88, 0x81, 0, 0, 0, 0, 3], 1002),
            ([0x83, 0x80, 0, 0, 0, 0], 1002),
        ] as [([UInt8], UInt16)])
    func `whoever breaks it is told by which code`(sent: [UInt8], code: UInt16) throws {
        let listening = try Listening()
        let client = try opened(listening)
        try #require(client.socket.write(sent[...]) == .moved(sent.count))
        try listening.turn()
        #expect(bytes(client.socket) == [0x88, 2, UInt8(code >> 8), UInt8(code & 0xFF)])
        #expect(!listening.hasDashboards)
    }

    @Test func `a dashboard that takes nothing is left out, then told everything, then let go`() throws {
        let listening = try Listening()
        let client = try opened(listening)
        let long = [UInt8](repeating: 0x78, count: 8 << 20)
        var told: [Bool] = []
        func tell() {
            listening.socket.tell(now: listening.now) {
                told.append($0)
                return long
            }
        }
        tell()
        tell()
        tell()
        #expect(told == [true])
        var taken = 0
        while taken < long.count + 10, listening.hasDashboards {
            try listening.turn(1)
            taken += bytes(client.socket).count
        }
        #expect(taken == long.count + 10)
        tell()
        #expect(told == [true, true])
        listening.now += AdminSocket.patience + 1
        try listening.turn()
        #expect(!listening.hasDashboards)
    }

    @Test func `a dashboard that says nothing is asked, and let go when it does not answer`() throws {
        let listening = try Listening()
        let (alive, dead) = (try opened(listening), try opened(listening))
        // What is told to it says nothing of whether it is there.
        listening.now += AdminSocket.quietPatience / 2
        listening.socket.tell(now: listening.now) { _ in [] }
        listening.now += AdminSocket.quietPatience / 2 + 1
        try listening.turn()
        #expect(bytes(alive.socket) == [0x81, 0, 0x89, 0] && bytes(dead.socket) == [0x81, 0, 0x89, 0])
        let pong = frame(10)
        try #require(alive.socket.write(pong[...]) == .moved(pong.count))
        try listening.turn()
        listening.socket.tell(now: listening.now) { _ in [] }
        listening.now += AdminSocket.patience + 1
        try listening.turn()
        listening.socket.tell(now: listening.now) { _ in [0x78] }
        #expect(bytes(alive.socket) == [0x81, 0, 0x81, 1, 0x78])
        #expect(bytes(dead.socket) == [0x81, 0])
    }

    @Test func `dashboards leave room for others`() throws {
        let listening = try Listening()
        var dashboards: [Client] = []
        for _ in 0..<AdminSocket.mostDashboards { dashboards.append(try opened(listening)) }
        let surplus = try listening.client(live)
        try listening.turn()
        #expect(answer(surplus).contains("too-many-dashboards"))
        let scraper = try listening.client(get)
        try listening.turn()
        #expect(answer(scraper, until: "page\n").contains("200 OK"))
        listening.socket.dismissDashboards(code: 1008, now: listening.now)
        try listening.turn()
        for each in dashboards { #expect(bytes(each.socket) == [0x88, 2, 0x03, 0xF0]) }
        #expect(!listening.hasDashboards)
    }

    @Test func `a button is told to the owner, and its answer is waited for`() throws {
        let listening = try Listening()
        let client = try listening.client(
            "POST /api/reload?handler=chat HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nX-Gateway-Action: reload\r\n"
                + "Content-Length: 0\r\n\r\n")
        try listening.turn(body: "done\n")
        #expect(listening.asked == [.command(.reload("chat"))])
        #expect(answer(client, until: "done\n").contains("\r\nConnection: keep-alive\r\n"))
    }
}
