package import GatewayIO
import Glibc
package import HTTP
import WebSocket

/// What was asked for at the admin listener, and the client to answer.
package struct AdminRequest: Sendable {
    package enum Asked: Sendable, Equatable {
        /// With the Accept header; empty where there is none.
        case page(AdminAccess.Page, accept: String)
        case command(ControlCommand)
    }

    /// Names the client; one that has gone meanwhile is no error.
    package let client: UInt64
    package let asked: Asked
}

/// The listener for metrics, health and the dashboard: requests of HTTP/1.1 in, answers out. It belongs to the control
/// thread, so that it answers whatever the workers do.
///
/// It has a poller of its own, so that its owner registers one number and calls `turn` when that is readable or
/// `deadline` has come. Nothing here blocks, and nobody keeps it busy: there are so many clients, and so much time.
///
///     accept ─▶ reading ──head──▶ waiting ──answer──▶ writing ─┬─▶ reading
///                  │└── refused: answered here ──────────┘     └─▶ lingering ─▶ gone
///                  └── a dashboard ──▶ live ──told, until it says Close──┘
package struct AdminSocket: ~Copyable {
    /// Clients at once. When there are more, one that has asked nothing for the longest time makes room.
    package static let mostClients = 16
    /// Dashboards among them: the others find room.
    package static let mostDashboards = 8
    /// How long a head may take, and an answer.
    package static let patience: UInt64 = 10_000_000_000
    /// How long a connection stays without a request: scrapers come again within a minute.
    package static let idlePatience: UInt64 = 90_000_000_000
    /// How long a dashboard may be silent before it is asked whether it is there.
    package static let quietPatience: UInt64 = 30_000_000_000
    /// How long the end of our side waits for the end of the client's.
    private static let lingerPatience: UInt64 = 2_000_000_000
    private static let headLimits = HeadLimits(maxHead: 16_384, maxHeaders: 100, maxRequestLine: 4096)

    private enum Phase {
        case reading
        case waiting
        case writing
        /// The client is an open dashboard.
        case live
        /// Our side has ended; what still comes is thrown away, so that a reset does not destroy what was sent last.
        case lingering
    }

    private final class Client {
        let socket: Socket
        var phase = Phase.reading
        var reader = RequestHeadReader(limits: AdminSocket.headLimits)
        /// What came and has not been used.
        var bytes: [UInt8] = []
        /// The answer, and how much of it the kernel has taken.
        var answer: [UInt8] = []
        var sent = 0
        var isHead = false
        var keepsAlive = false
        /// Monotonic nanoseconds.
        var deadline: UInt64
        /// When it became idle; nil while something is under way.
        var idleSince: UInt64?
        /// It has had an answer, and asked nothing since.
        var isContent: Bool { answers > 0 && idleSince != nil && phase == .reading }
        var answers = 0
        /// Of a dashboard.
        var stream = LiveStream()
        /// A dashboard knows nothing yet, or has missed something: it has to be told everything.
        var wantsAll = true
        /// When a dashboard was heard last, and whether it has been asked since.
        var heardAt: UInt64 = 0
        var isAsked = false

        init(_ socket: consuming Socket, now: UInt64) {
            self.socket = socket
            deadline = now &+ AdminSocket.patience
            idleSince = now
        }
    }

    private var door: ClientListener<Client>
    /// Who is let in from now on.
    package var access: AdminAccess
    private var dates = DateCache()

    package init(_ address: Listener.Address, _ access: AdminAccess) throws(Errno) {
        door = try ClientListener(address)
        self.access = access
    }

    /// For registration with the control thread's poller, as readable.
    package var number: Int32 { door.poller.number }

    /// Where it listens.
    package var address: SocketAddress { door.address }

    /// When `turn` must be called even if nothing happens, in monotonic nanoseconds; nil = never.
    package var deadline: UInt64? {
        (door.clients.values.map(\.deadline) + [door.pausedUntil].compactMap { $0 }).min()
    }

    /// Refuses new clients from now on.
    package mutating func close() { door.stopListening() }

    /// Another program of this gateway listens here from now on; clients that are here get their answers.
    package mutating func giveAway() throws(Errno) -> FileDescriptor? { try door.giveAway() }

    /// Whether somebody who has come in has not got an answer: with a request on the way, waiting, or reading it.
    package var owesAnswers: Bool {
        door.clients.values.contains { $0.phase != .live && $0.phase != .lingering && !$0.isContent }
    }

    /// That program has gone.
    package mutating func takeBack() throws(Errno) { try door.takeBack() }

    /// Does everything that can be done now; gives the pages that are asked for, in the order of their arrival.
    package mutating func turn(now: UInt64 = Clock.monotonicNanoseconds()) throws(Errno) -> [AdminRequest] {
        var requests: [AdminRequest] = []
        for index in 0..<(try door.wait(now: now)) {
            let event = door.poller[index]
            if door.isNewcomers(event) {
                try accept(now)
            } else if let client = door.clients[event.token], !serve(client, event, now, &requests) {
                door.clients[event.token] = nil
            }
        }
        for (token, client) in door.clients where client.deadline <= now {
            if !expire(client, token, now) { door.clients[token] = nil }
        }
        return requests
    }

    /// Sends an answer, now or whenever the client takes it; what it has asked behind that comes with the next turn.
    package mutating func answer(
        _ client: UInt64, _ response: PlainResponse, now: UInt64 = Clock.monotonicNanoseconds()
    ) {
        guard let asking = door.clients[client], asking.phase == .waiting else { return }
        if !begin(response, asking, client, now) { door.clients[client] = nil }
    }

    // MARK: Clients

    private mutating func accept(_ now: UInt64) throws(Errno) {
        // A bound for one turn: clients that still wait are reported again.
        for _ in 0..<Self.mostClients {
            guard let socket = try door.next(now: now) else { return }
            admit(socket, now)
        }
    }

    private mutating func admit(_ socket: consuming Socket, _ now: UInt64) {
        if door.clients.count >= Self.mostClients {
            let idle = door.clients.filter { $0.value.idleSince != nil && $0.value.bytes.isEmpty }
            guard let longest = idle.min(by: { $0.value.idleSince ?? 0 < $1.value.idleSince ?? 0 }) else {
                let busy = PlainResponse(status: 503, word: "too-many-clients", sentence: "too many others are asking")
                var bytes: [UInt8] = []
                busy.append(to: &bytes, at: Clock.wallSeconds(), &dates)
                // A fresh socket takes it at once.
                _ = socket.write(bytes[...])
                return socket.finishSending()
            }
            door.clients[longest.key] = nil
        }
        socket.disableDelay()
        let client = Client(socket, now: now)
        // Where the kernel has no memory for it, the client sees the end and may ask again.
        try? door.add(client, number: client.socket.number)
    }

    /// False when the client is to go.
    private mutating func serve(
        _ client: Client, _ event: Poller.Event, _ now: UInt64, _ requests: inout [AdminRequest]
    ) -> Bool {
        switch client.phase {
        case .reading:
            let room = Self.headLimits.maxHead - client.bytes.count
            switch client.socket.read(appendingTo: &client.bytes, atMost: max(1, room)) {
            // What was asked behind the request before is there already.
            case .moved, .wouldBlock: return use(client, event.token, now, &requests)
            case .endOfStream, .failed: return false
            }
        case .waiting: return !event.isHangUp
        case .writing:
            return write(client, event.token, now)
        case .live: return hear(client, event.token, now)
        case .lingering:
            var thrownAway: [UInt8] = []
            switch client.socket.read(appendingTo: &thrownAway, atMost: 65_536) {
            case .wouldBlock, .moved: return true
            case .endOfStream, .failed: return false
            }
        }
    }

    /// Reads a request out of what came.
    private mutating func use(
        _ client: Client, _ token: UInt64, _ now: UInt64, _ requests: inout [AdminRequest]
    ) -> Bool {
        if client.bytes.isEmpty { return true }
        if client.idleSince != nil {
            client.idleSince = nil
            client.deadline = now &+ Self.patience
        }
        do throws(RequestHeadError) {
            guard case .head(let head, let length) = try client.reader.read(client.bytes.span) else {
                return watch(client, token, .readable)
            }
            client.bytes.removeFirst(length)
            client.isHead = head.method == .head
            // A body that is not read would be taken for the next request.
            client.keepsAlive = head.keepsAlive && !head.hasBody
            switch access.judge(head, now: Clock.wallSeconds()) {
            case .refused(let response), .answer(let response): return begin(response, client, token, now)
            case .live(let handshake): return open(handshake, head, client, token, now)
            case .page(let page):
                let accept = head.fields.filter { head.string($0.name) == "accept" }.map { head.string($0.value) }
                requests.append(
                    AdminRequest(client: token, asked: .page(page, accept: accept.joined(separator: ","))))
            case .command(let command): requests.append(AdminRequest(client: token, asked: .command(command)))
            }
            client.phase = .waiting
            return watch(client, token, [])
        } catch {
            var response = PlainResponse(refusing: error)
            if response.status == 405 { response.allow = "GET, HEAD" }
            client.keepsAlive = false
            return begin(response, client, token, now)
        }
    }

    private mutating func begin(
        _ response: PlainResponse, _ client: Client, _ token: UInt64, _ now: UInt64
    ) -> Bool {
        var response = response
        response.keepsAlive = client.keepsAlive
        // What holds for a moment only is not to be kept; files have said so themselves.
        if response.headers.bytes.isEmpty || response.status != 200 { response.addPageHeaders() }
        client.answer = []
        response.append(to: &client.answer, at: Clock.wallSeconds(), &dates, headOnly: client.isHead)
        client.sent = 0
        client.phase = .writing
        client.deadline = now &+ Self.patience
        return write(client, token, now)
    }

    /// False when the client does not take it any more.
    private func write(_ client: Client, _ token: UInt64, _ now: UInt64) -> Bool {
        while client.sent < client.answer.count {
            switch client.socket.write(client.answer[client.sent...]) {
            case .moved(let count): client.sent += count
            case .wouldBlock: return watch(client, token, .writable)
            case .endOfStream, .failed: return false
            }
        }
        client.answer = []
        client.answers += 1
        guard client.keepsAlive else {
            client.socket.finishSending()
            client.phase = .lingering
            client.deadline = now &+ Self.lingerPatience
            return watch(client, token, .readable)
        }
        client.phase = .reading
        client.reader = RequestHeadReader(limits: Self.headLimits)
        client.idleSince = client.bytes.isEmpty ? now : nil
        client.deadline = now &+ (client.bytes.isEmpty ? Self.idlePatience : Self.patience)
        // A socket that has room is reported at once, and so what was asked in the same breath is not forgotten.
        return watch(client, token, client.bytes.isEmpty ? .readable : [.readable, .writable])
    }

    /// False when the client is to go.
    private mutating func expire(_ client: Client, _ token: UInt64, _ now: UInt64) -> Bool {
        if client.phase == .live { return ask(client, token, now) }
        guard client.phase == .reading, !client.bytes.isEmpty else { return client.phase == .waiting }
        client.keepsAlive = false
        let response = PlainResponse(status: 408, word: "request-timeout", sentence: "the request took too long")
        return begin(response, client, token, now)
    }

    // MARK: Dashboards

    private var dashboards: Int { door.clients.values.count { $0.phase == .live } }

    /// Whether any dashboard is open: nobody else wants to be told anything.
    package var hasDashboards: Bool { dashboards > 0 }

    /// Whether one of them waits to be told everything.
    package var hasNewcomers: Bool {
        door.clients.values.contains { $0.phase == .live && $0.wantsAll && $0.answer.isEmpty }
    }

    private mutating func open(
        _ handshake: OpeningHandshake, _ head: RequestHead, _ client: Client, _ token: UInt64, _ now: UInt64
    ) -> Bool {
        if dashboards >= Self.mostDashboards {
            client.keepsAlive = false
            let busy = PlainResponse(
                status: 503, word: "too-many-dashboards", sentence: "\(dashboards) are open already")
            return begin(busy, client, token, now)
        }
        client.phase = .live
        client.heardAt = now
        client.answer = []
        client.sent = 0
        handshake.appendSwitchingProtocols(to: &client.answer, of: head)
        client.stream.read(&client.bytes, answering: &client.answer)
        return push(client, token, now)
    }

    /// Tells dashboards a text each. One that has not taken what it was told before is left out, and is told everything
    /// the next time; nothing piles up for it.
    ///
    /// - Parameter text: what there is to tell; everything, for those that know nothing.
    package mutating func tell(
        newcomersOnly: Bool = false, now: UInt64 = Clock.monotonicNanoseconds(), _ text: (_ everything: Bool) -> [UInt8]
    ) {
        for (token, client) in door.clients where client.phase == .live && !client.stream.hasClosed {
            if newcomersOnly, !client.wantsAll { continue }
            guard client.answer.isEmpty else {
                client.wantsAll = true
                continue
            }
            LiveStream.append(.text, text(client.wantsAll), to: &client.answer)
            client.wantsAll = false
            if !push(client, token, now) { door.clients[token] = nil }
        }
    }

    /// Sends every dashboard away.
    package mutating func dismissDashboards(code: UInt16, now: UInt64 = Clock.monotonicNanoseconds()) {
        for (token, client) in door.clients where client.phase == .live {
            client.stream.close(code, &client.answer)
            if !push(client, token, now) { door.clients[token] = nil }
        }
    }

    /// False when the client is to go. One that does not take what it is told is not heard meanwhile, so that no answers
    /// pile up for it.
    private func hear(_ client: Client, _ token: UInt64, _ now: UInt64) -> Bool {
        guard client.answer.isEmpty else { return push(client, token, now) }
        switch client.socket.read(appendingTo: &client.bytes, atMost: Self.headLimits.maxHead) {
        case .moved:
            client.heardAt = now
            client.isAsked = false
        case .wouldBlock: break
        case .endOfStream, .failed: return false
        }
        client.stream.read(&client.bytes, answering: &client.answer)
        return push(client, token, now)
    }

    /// Asks a dashboard that has been silent; false when it has been asked, or does not even take what it is told.
    private func ask(_ client: Client, _ token: UInt64, _ now: UInt64) -> Bool {
        if client.isAsked || !client.answer.isEmpty { return false }
        client.isAsked = true
        client.deadline = now &+ Self.patience
        LiveStream.append(.ping, [], to: &client.answer)
        return push(client, token, now)
    }

    /// Sends what waits for a dashboard; false when it does not take it any more.
    private func push(_ client: Client, _ token: UInt64, _ now: UInt64) -> Bool {
        while client.sent < client.answer.count {
            switch client.socket.write(client.answer[client.sent...]) {
            case .moved(let count): client.sent += count
            case .wouldBlock:
                if client.deadline > now &+ Self.patience { client.deadline = now &+ Self.patience }
                return watch(client, token, .writable)
            case .endOfStream, .failed: return false
            }
        }
        client.answer = []
        client.sent = 0
        if !client.isAsked { client.deadline = client.heardAt &+ Self.quietPatience }
        if client.stream.hasClosed {
            client.socket.finishSending()
            client.phase = .lingering
            client.deadline = now &+ Self.lingerPatience
        }
        return watch(client, token, .readable)
    }

    private func watch(_ client: Client, _ token: UInt64, _ interest: Poller.Interest) -> Bool {
        door.watch(client.socket.number, token, interest)
    }
}
