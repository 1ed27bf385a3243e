import Bytes
import CGatewayABI
import CLinux
import GatewayIO
import HTTP
import HandlerModules
import Synchronization
import WebSocket

extension Worker {
    // MARK: Heads

    /// Reads a request head and acts on it.
    ///
    /// - Returns: false when it is not whole.
    func readHead(_ peer: ConnectionPointer, _ octets: UnsafeRawBufferPointer, _ position: inout Int) -> Bool {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: octets[position...])
        var reader = peer.pointee.rareState?.head ?? RequestHeadReader(limits: routing.headLimits)
        do throws(RequestHeadError) {
            switch try reader.read(unsafe RawSpan(_unsafeBytes: rest)) {
            case .needMore:
                peer.pointee.ownRareState.head = reader
                return false
            case .head(let head, let length):
                position += length
                peer.pointee.forgetRequest()
                route(peer, head)
            }
        } catch {
            position = octets.count
            // RFC 9112 2.2 and 11.2: after a framing error nothing that follows can be trusted.
            server.log.debug("request refused: \(error.word)")
            respond(peer, PlainResponse(refusing: error), headOnly: false)
        }
        return true
    }

    /// Decides who answers a request.
    private func route(_ peer: ConnectionPointer, _ head: RequestHead) {
        if isEnding || peer.pointee.flags.contains(.surplus) {
            let (word, sentence) = isEnding ? Self.draining : Self.tooMany
            return refuse(peer, head, status: 503, word: word, sentence)
        }
        let outcome = OpeningHandshake.evaluate(head)
        if case .notWebSocket = outcome, serveConsole(peer, head) { return }
        let path = head.target.path
        let segments = Array(path.segments)
        guard let match = routing.router.match(path: path.octets, segments: segments) else {
            return refuse(peer, head, status: 404, word: "no-route", "nothing is served at this path")
        }
        let route = routing.routes[match.route]
        switch outcome {
        case .refused(let refusal): respond(peer, refusal.response, headOnly: false)
        case .notWebSocket: plainRequest(peer, head, route, parameters(route, match, path))
        case .offered(let handshake): upgrade(peer, head, route, parameters(route, match, path), handshake)
        }
    }

    private func parameters(
        _ route: Route, _ match: Router.Match, _ path: NormalizedPath
    ) -> [(name: String, value: [UInt8])] {
        var values: [(name: String, value: [UInt8])] = []
        // Matching is on raw segments; decoded here, a parameter may hold a slash that never changed the route.
        for (name, range) in zip(route.parameterNames, match.parameters) { values.append((name, path.decode(range))) }
        if let remainder = match.remainder { values.append(("*", path.decode(remainder))) }
        return values
    }

    private func serveConsole(_ peer: ConnectionPointer, _ head: RequestHead) -> Bool {
        guard let console = routing.consolePath, head.target.path.octets.elementsEqual(console.utf8),
            head.method == .get || head.method == .head
        else { return false }
        let routes = routing.routes.map { route in
            let isServed = unsafe route.binding != nil
            return (
                pattern: route.pattern, handler: route.handler,
                state: isServed ? "serving" : route.unavailableReason ?? "unavailable"
            )
        }
        var page = PlainResponse(
            status: 200, contentType: "text/html; charset=utf-8", body: Array(ConsolePage.html(routes: routes).utf8))
        // A body that nobody reads would be taken for the next request.
        page.keepsAlive = keepsAlive(head) && !head.hasBody
        respond(peer, page, headOnly: head.method == .head)
        return true
    }

    private func newExchange(
        _ peer: ConnectionPointer, _ head: RequestHead, _ binding: UnsafeMutablePointer<Binding>, _ route: Route,
        _ parameters: [(name: String, value: [UInt8])], _ handshake: OpeningHandshake?
    ) -> Exchange {
        nextTicket += 1
        let milliseconds = UInt64(truncatingIfNeeded: Clock.wallSeconds()) * 1000 + nowNanoseconds / 1_000_000 % 1000
        let exchange = unsafe Exchange(
            head: head, binding: binding, parameters: parameters, handshake: handshake,
            ticket: UInt64(port.index) << 56 | nextTicket, uuid: identifiers.next(milliseconds: milliseconds))
        exchange.record.fill(
            exchange, id: peer.pointee.id.number, route: route.pattern, peer: peer.pointee.transport.peerAddress,
            local: peer.pointee.transport.localAddress, isSecure: peer.pointee.rareState?.options.isSecure ?? false)
        return exchange
    }

    private func openTicket(_ peer: ConnectionPointer, _ exchange: Exchange) {
        let head = exchange.head
        server.pendingReplies.open(
            exchange.ticket,
            PendingReplies.Ticket(
                connection: peer.pointee.id, module: unsafe exchange.binding.pointee.module,
                offered: exchange.handshake?.subprotocols.map { Array(head.octets[$0]) } ?? [],
                isUpgrade: exchange.handshake != nil))
    }

    // MARK: Opening handshakes

    private func upgrade(
        _ peer: ConnectionPointer, _ head: RequestHead, _ route: Route,
        _ parameters: [(name: String, value: [UInt8])], _ handshake: OpeningHandshake
    ) {
        guard let binding = unsafe route.binding else { return unavailable(peer, head, route) }
        if route.connections.add(1, ordering: .relaxed).newValue > route.limits.connections {
            route.connections.subtract(1, ordering: .relaxed)
            return refuse(
                peer, head, status: 503, word: "too-many-connections", "max_connections of the route is reached")
        }
        unsafe bind(peer, binding)
        peer.pointee.flags.insert(.counted)
        let exchange = unsafe newExchange(peer, head, binding, route, parameters, handshake)
        peer.pointee.exchange = exchange
        if unsafe binding.pointee.handler.upgrade == nil { return conclude(peer, exchange, Reply(status: 101)) }
        ask(peer, exchange)
    }

    /// Calls `upgrade` or `http`; what it answers decides, unless it replied.
    private func ask(_ peer: ConnectionPointer, _ exchange: Exchange) {
        openTicket(peer, exchange)
        peer.pointee.phase = .answering
        if makeLane(peer) { return askOnLane(peer, exchange) }
        currentTicket = exchange.ticket
        let status = unsafe LoopRunner(worker: self, peer: peer, binding: exchange.binding).ask(exchange)
        currentTicket = 0
        if let reply = exchange.reply { return conclude(peer, exchange, reply) }
        if status == Status.deferred || server.pendingReplies.isAnswered(exchange.ticket) {
            return unsafe setDeadline(peer, ticks: exchange.binding.pointee.limits.replyTimeout)
        }
        conclude(peer, exchange, status)
    }

    /// What `upgrade` or `http` returned takes effect, unless it replied, or is going to.
    func conclude(_ peer: ConnectionPointer, _ exchange: Exchange, _ status: gw_status) {
        if status == Status.deferred || server.pendingReplies.isAnswered(exchange.ticket) { return }
        let isUpgrade = exchange.handshake != nil
        switch status {
        case Status.ok where isUpgrade: conclude(peer, exchange, Reply(status: 101))
        case Status.reject where isUpgrade:
            forget(peer, exchange)
            refuse(peer, exchange.head, status: 403, word: "handler-refused", "the handler refused the connection")
        case Status.reject:
            forget(peer, exchange)
            refuse(peer, exchange.head, status: 404, word: "not-found", "the handler has nothing here")
        default:
            unsafe exchange.binding.pointee.failures.add(1, ordering: .relaxed)
            server.log.warn("\(unsafe describe(exchange.binding)): answered a request with status \(status)")
            forget(peer, exchange)
            refuse(peer, exchange.head, status: 500, word: "handler-failed", "the handler failed")
        }
    }

    /// A handler's answer, given at once or later, takes effect.
    func conclude(_ peer: ConnectionPointer, _ exchange: Exchange, _ reply: Reply) {
        _ = server.pendingReplies.close(exchange.ticket)
        if exchange.handshake != nil, reply.acceptsUpgrade { return accept(peer, exchange, reply) }
        if peer.pointee.flags.contains(.peerLeft) {
            // Nothing was accepted, so nothing is owed.
            peer.pointee.flags.remove(.peerLeft)
            return teardown(peer)
        }
        var response = PlainResponse(status: reply.status, body: reply.body)
        response.headers = reply.headers
        // Nothing is served behind a refused upgrade: what follows may be frames.
        response.keepsAlive = exchange.handshake == nil && keepsAlive(exchange.head)
        let headOnly = exchange.head.method == .head
        forget(peer, exchange)
        respond(peer, response, headOnly: headOnly)
    }

    /// The request is over and its connection belongs to no route any more.
    private func forget(_ peer: ConnectionPointer, _ exchange: Exchange) {
        _ = server.pendingReplies.close(exchange.ticket)
        unbind(peer)
        peer.pointee.exchange = nil
    }

    /// Says 101 and opens the connection (RFC 6455 4.2.2); frames may follow in the same packet.
    private func accept(_ peer: ConnectionPointer, _ exchange: Exchange, _ reply: Reply) {
        guard let handshake = exchange.handshake else { return }
        let binding = unsafe exchange.binding
        let head = exchange.head
        var chosen = handshake.subprotocol(reply.subprotocol.span, in: head)
        if reply.subprotocol.isEmpty {
            let listed = unsafe binding.pointee.route.subprotocols
            chosen = handshake.subprotocols.first { offer in listed.contains { $0.elementsEqual(head.octets[offer]) } }
        }
        response.removeAll(keepingCapacity: true)
        handshake.appendSwitchingProtocols(to: &response, subprotocol: chosen, of: head, headers: reply.headers)
        unsafe response.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: pool, size: .small) }
        markDirty(peer)

        unsafe peer.pointee.state = unsafe UnsafeMutableRawPointer(bitPattern: reply.state)
        peer.pointee.phase = .open
        peer.pointee.lastMessage = now
        peer.pointee.deadline = 0
        peer.pointee.pingDue =
            unsafe binding.pointee.limits.pingInterval == 0 ? 0 : now + binding.pointee.limits.pingInterval
        peer.pointee.flags.insert(.opened)
        unsafe port.sharedTable.post(peer.pointee.id, binding: binding, openedAt: now)
        schedule(peer)
        logOpened(peer, exchange)
        // A peer that left before the handler answered is opened and closed in one go, and sends answer GW_E_CLOSED.
        let hasLeft = peer.pointee.flags.contains(.peerLeft)
        if hasLeft { noteTeardown(peer) }
        if makeLane(peer) {
            peer.pointee.rareState?.lane?.stateAddress.store(reply.state, ordering: .relaxed)
            run(peer, .open(RetainedExchange(exchange), subprotocol: chosen))
        } else {
            unsafe LoopRunner(worker: self, peer: peer, binding: binding).open(exchange, chosen)
        }
        if unsafe !binding.pointee.has(GW_HF_KEEP_REQUEST) { peer.pointee.exchange = nil }
        if hasLeft { teardown(peer) } else if isStopping { sendAway(peer) }
    }

    // MARK: Plain requests

    /// What is reserved at once on the word of a Content-Length; the rest is reserved as bytes arrive.
    private static let trustedBody = 64 * 1024

    private func plainRequest(
        _ peer: ConnectionPointer, _ head: RequestHead, _ route: Route, _ parameters: [(name: String, value: [UInt8])]
    ) {
        guard let binding = unsafe route.binding else { return unavailable(peer, head, route) }
        if unsafe binding.pointee.handler.http == nil {
            return refuse(
                peer, head, status: 400, word: "not-a-websocket-request", "this path speaks WebSocket only")
        }
        if head.isChunked {
            return refuse(peer, head, status: 411, word: "length-required", "a body needs a Content-Length")
        }
        let length = head.contentLength ?? 0
        if unsafe length > binding.pointee.limits.body {
            return refuse(peer, head, status: 413, word: "content-too-large", "the body is larger than max_body")
        }
        let exchange = unsafe newExchange(peer, head, binding, route, parameters, nil)
        unsafe bind(peer, binding)
        peer.pointee.exchange = exchange
        if length == 0 { return ask(peer, exchange) }
        peer.pointee.phase = .body
        exchange.body.reserveCapacity(min(length, Self.trustedBody))
        if head.hasToken("100-continue", in: "expect"), head.minorVersion == 1 {
            unsafe Array("HTTP/1.1 100 Continue\r\n\r\n".utf8).withUnsafeBytes {
                unsafe peer.pointee.outbox.append($0, pool: pool, size: .small)
            }
            markDirty(peer)
        }
    }

    /// Collects the body of a plain request.
    ///
    /// - Returns: false when it is not whole.
    func readBody(_ peer: ConnectionPointer, _ octets: UnsafeRawBufferPointer, _ position: inout Int) -> Bool {
        guard let exchange = peer.pointee.exchange, let length = exchange.head.contentLength else { return false }
        let wanted = min(length - exchange.body.count, octets.count - position)
        unsafe exchange.body.append(contentsOf: octets[position..<position + wanted])
        position += wanted
        guard exchange.body.count == length else { return false }
        ask(peer, exchange)
        return true
    }

    // MARK: Answers

    private func keepsAlive(_ head: RequestHead) -> Bool { head.keepsAlive && !isEnding }

    private func unavailable(_ peer: ConnectionPointer, _ head: RequestHead, _ route: Route) {
        // The reason may tell of files and functions: it is for the operator, not for strangers.
        refuse(
            peer, head, status: 503, word: "handler-unavailable", "handler \"\(route.handler)\" is not being served")
    }

    /// Answers with a code word and a sentence. A body that nobody will read closes the connection.
    private func refuse(_ peer: ConnectionPointer, _ head: RequestHead, status: Int, word: String, _ sentence: String) {
        var answer = PlainResponse(status: status, word: word, sentence: sentence)
        answer.keepsAlive =
            keepsAlive(head) && !head.hasBody && !head.hasToken("websocket", in: "upgrade")
            && !peer.pointee.flags.contains(.surplus)
        server.log.debug("\(head.methodName) \(head.string(head.target.range)): \(status) \(word)")
        respond(peer, answer, headOnly: head.method == .head)
    }

    /// Answers a request that is not whole, or too late.
    func refuse(_ peer: ConnectionPointer, status: Int, word: String, _ sentence: String) {
        respond(peer, PlainResponse(status: status, word: word, sentence: sentence), headOnly: false)
    }

    private func respond(_ peer: ConnectionPointer, _ answer: PlainResponse, headOnly: Bool) {
        response.removeAll(keepingCapacity: true)
        answer.append(to: &response, at: Clock.wallSeconds(), &dates, headOnly: headOnly)
        unsafe response.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: pool, size: .small) }
        markDirty(peer)
        peer.pointee.exchange = nil
        if answer.keepsAlive {
            peer.pointee.phase = .head
            setDeadline(peer, ticks: routing.handshakeTimeout)
        } else {
            end(peer)
        }
    }

    // MARK: Access log

    private func logOpened(_ peer: ConnectionPointer, _ exchange: Exchange) {
        guard routing.logsAccess else { return }
        let address = peer.pointee.transport.peerAddress?.description ?? "-"
        let target = exchange.head.string(exchange.head.target.range)
        Log.access("\(address) \"\(Log.escaped(target))\" 101 id=\(String(peer.pointee.id.number, radix: 16))")
    }

    func logClosed(_ peer: ConnectionPointer) {
        guard routing.logsAccess else { return }
        Log.access(
            "id=\(String(peer.pointee.id.number, radix: 16)) closed \(peer.pointee.closeCode)"
                + " in=\(peer.pointee.messagesIn)/\(peer.pointee.octetsIn) out=\(peer.pointee.messagesOut)/\(peer.pointee.octetsOut)"
        )
    }

    /// A binding for the log: handler and route.
    func describe(_ binding: UnsafeMutablePointer<Binding>) -> String {
        let route = unsafe binding.pointee.route
        return "handler \"\(route.handler)\" on \(route.pattern)"
    }
}
