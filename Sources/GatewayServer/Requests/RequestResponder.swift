import Bytes
import CGatewayABI
import CLinux
import GatewayConfiguration
import GatewayControl
import GatewayHTTP2
import GatewayIO
import HTTP
import HandlerModules
import Synchronization
import WebSocket

/// Answers requests: routes them, asks handlers, opens connections (RFC 6455 4.2.2), and refuses what cannot be served.
final class RequestResponder {
    /// Scratch for responses.
    private var response: [UInt8] = []
    private var dates = DateCache()
    private var identifiers = UUIDGenerator()
    private var nextTicket: UInt64 = 0
    /// The bytes of the head that is being looked at, where a route needs them.
    private var headBytes: [UInt8] = []

    // MARK: Heads

    /// Reads a request head and acts on it.
    ///
    /// - Returns: false when it is not whole.
    func readHead(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, _ position: inout Int, on worker: Worker)
        -> Bool
    {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[position...])
        switch unsafe worker.http2.begin(peer, rest, on: worker) {
        case .http1: break
        case .undecided: return false
        case .http2: return true
        }
        var reader = peer.pointee.rareState?.head ?? RequestHeadReader(limits: worker.routing.headLimits)
        do throws(RequestHeadError) {
            switch try reader.read(unsafe RawSpan(_unsafeBytes: rest)) {
            case .needMore:
                peer.pointee.ownRareState.head = reader
                return false
            case .head(var head, let length):
                position += length
                let rareState = peer.pointee.rareState
                head.http2 = rareState?.stream?.request ?? rareState?.relayed?.http2
                if worker.routing.isAnyIsolated { headBytes = unsafe Array(rest[..<length]) }
                peer.pointee.forgetRequest()
                route(peer, head, on: worker)
            }
        } catch {
            position = bytes.count
            // RFC 9112 2.2 and 11.2: after a framing error nothing that follows can be trusted.
            let answer = PlainResponse(refusing: error)
            noteRefusal(of: peer, nil, status: answer.status, error.word, on: worker)
            respond(peer, answer, headOnly: false, on: worker)
        }
        return true
    }

    /// Decides what answers a request: the handler of a route, the console, or a rejection.
    private func route(_ peer: ConnectionPointer, _ head: RequestHead, on worker: Worker) {
        if worker.isEnding || peer.pointee.flags.contains(.surplus) {
            return reject(peer, head, worker.isEnding ? .draining : .tooManyConnections, on: worker)
        }
        if worker.routing.hasProxies,
            let forwarded = worker.routing.proxies.forwarded(head, from: peer.pointee.peerAddress)
        {
            peer.pointee.ownRareState.forwarded = forwarded
        }
        if worker.server.memory.isExceeded.load(ordering: .relaxed) {
            worker.server.memory.refused.add(1, ordering: .relaxed)
            return reject(peer, head, .memoryLimit, on: worker)
        }
        let outcome = OpeningHandshake.evaluate(head)
        if case .notWebSocket = outcome, serveConsole(peer, head, on: worker) { return }
        let path = head.target.path
        let segments = Array(path.segments)
        let match = worker.routing.router.match(host: Self.host(head), path: path.bytes, segments: segments)
        guard let match else {
            return reject(peer, head, .noRoute, on: worker)
        }
        let route = worker.routing.routes[match.route]
        if let addresses = route.addresses, !addresses.admits(peer.pointee.peerAddress) {
            return reject(peer, head, .addressNotAllowed, at: route, on: worker)
        }
        switch outcome {
        case .refused(let refusal):
            noteRefusal(of: peer, head, at: route, status: refusal.response.status, refusal.word, on: worker)
            respond(peer, refusal.response, headOnly: false, on: worker)
        case .notWebSocket: plainRequest(peer, head, route, parameters(route, match, path), on: worker)
        case .offered(let handshake): upgrade(peer, head, route, parameters(route, match, path), handshake, on: worker)
        }
    }

    /// The host that a request names, without its port.
    private static func host(_ head: RequestHead) -> ArraySlice<UInt8> { head.bytes[head.authority?.host ?? 0..<0] }

    private func parameters(
        _ route: Route, _ match: Router.Match, _ path: NormalizedPath
    ) -> [(name: String, value: [UInt8])] {
        var values: [(name: String, value: [UInt8])] = []
        // Matching is on raw segments; decoded here, a parameter may hold a slash that never changed the route.
        for (name, range) in zip(route.parameterNames, match.parameters) { values.append((name, path.decode(range))) }
        if let remainder = match.remainder { values.append(("*", path.decode(remainder))) }
        return values
    }

    /// The console is no route: it is asked before any.
    private func serveConsole(_ peer: ConnectionPointer, _ head: RequestHead, on worker: Worker) -> Bool {
        guard let console = worker.routing.console, head.method == .get || head.method == .head,
            let asked = console.asked(at: head.target.path.bytes)
        else { return false }
        if let addresses = worker.routing.addresses, !addresses.admits(peer.pointee.transport.peerAddress) {
            reject(peer, head, .addressNotAllowed, on: worker)
            return true
        }
        var answer = ConsoleAnswer.response(asked, of: console, host: Self.host(head), on: worker)
        // A body that is not read would be taken for the next request.
        answer.keepsAlive = keepsAlive(head, on: worker) && !head.hasBody
        // Of a page that is open there would be a line each second.
        if asked != .state { noteAnswer(to: peer, head, nil, status: 200, on: worker) }
        respond(peer, answer, headOnly: head.method == .head, on: worker)
        return true
    }

    private func newExchange(
        _ peer: ConnectionPointer, _ head: RequestHead, _ binding: UnsafeMutablePointer<Binding>, _ route: Route,
        _ parameters: [(name: String, value: [UInt8])], _ handshake: OpeningHandshake?, on worker: Worker
    ) -> Exchange {
        nextTicket += 1
        let milliseconds =
            UInt64(truncatingIfNeeded: Clock.wallSeconds()) * 1000 + worker.nowNanoseconds / 1_000_000 % 1000
        let exchange = unsafe Exchange(
            head: head, binding: binding, parameters: parameters, handshake: handshake,
            ticket: UInt64(worker.port.index) << 56 | nextTicket, uuid: identifiers.next(milliseconds: milliseconds),
            receivedAt: worker.nowNanoseconds)
        exchange.record.fill(
            exchange, id: peer.pointee.id.number, route: route.name, peer: peer.pointee.peerAddress,
            local: peer.pointee.localAddress, isSecure: peer.pointee.rareState?.isSecure ?? false,
            security: peer.pointee.security)
        return exchange
    }

    private func openTicket(_ peer: ConnectionPointer, _ exchange: Exchange, on worker: Worker) {
        let head = exchange.head
        worker.server.pendingReplies.open(
            exchange.ticket,
            PendingReplies.Ticket(
                connection: peer.pointee.id, module: unsafe exchange.binding.pointee.module,
                offered: exchange.handshake?.subprotocols.map { Array(head.bytes[$0]) } ?? [],
                isUpgrade: exchange.handshake != nil))
    }

    // MARK: Opening handshakes

    /// A part of `route`, so that the handshake is not copied.
    @inline(__always)
    private func upgrade(
        _ peer: ConnectionPointer, _ head: RequestHead, _ route: Route,
        _ parameters: [(name: String, value: [UInt8])], _ handshake: OpeningHandshake, on worker: Worker
    ) {
        if !route.origins.admits(head) { return reject(peer, head, .originNotAllowed, at: route, on: worker) }
        guard let binding = unsafe route.binding else {
            return reject(peer, head, .unavailable(route.handler), at: route, on: worker)
        }
        if worker.routing.admission != nil || route.admission != nil,
            let rejection = worker.overdrawn(peer, at: route)
        {
            return reject(peer, head, rejection, at: route, on: worker)
        }
        if route.connections.add(1, ordering: .relaxed).newValue > route.limits.connections {
            route.connections.subtract(1, ordering: .relaxed)
            peer.pointee.rareState?.admission = nil
            return reject(peer, head, .routeFull, at: route, on: worker)
        }
        unsafe peer.pointee.bind(binding)
        peer.pointee.flags.insert(.counted)
        if let port = unsafe binding.pointee.instanceContext.isolated {
            return worker.away.begin(peer, port, head: headBytes, on: worker)
        }
        let exchange = unsafe newExchange(peer, head, binding, route, parameters, handshake, on: worker)
        peer.pointee.exchange = exchange
        if unsafe binding.pointee.handler.upgrade == nil {
            return conclude(peer, exchange, Reply(status: 101), on: worker)
        }
        ask(peer, exchange, on: worker)
    }

    /// Calls `upgrade` or `http`; what it answers decides, unless it replied.
    private func ask(_ peer: ConnectionPointer, _ exchange: Exchange, on worker: Worker) {
        openTicket(peer, exchange, on: worker)
        peer.pointee.phase = .answering
        if worker.makeCallbackQueue(peer) { return worker.askOnPool(peer, exchange) }
        worker.running.ticket = exchange.ticket
        let status = unsafe LoopRunner(worker: worker, peer: peer, binding: exchange.binding).ask(exchange)
        worker.running.ticket = 0
        if let reply = exchange.reply { return conclude(peer, exchange, reply, on: worker) }
        if status == Status.deferred || worker.server.pendingReplies.isAnswered(exchange.ticket) {
            return unsafe worker.timers.setDeadline(
                peer, ticks: exchange.binding.pointee.limits.replyTimeout, on: worker)
        }
        conclude(peer, exchange, status, on: worker)
    }

    /// What `upgrade` or `http` returned takes effect, unless it replied, or is going to.
    func conclude(_ peer: ConnectionPointer, _ exchange: Exchange, _ status: gw_status, on worker: Worker) {
        if status == Status.deferred || worker.server.pendingReplies.isAnswered(exchange.ticket) { return }
        let isUpgrade = exchange.handshake != nil
        switch status {
        case Status.ok where isUpgrade: conclude(peer, exchange, Reply(status: 101), on: worker)
        case Status.reject where isUpgrade:
            reject(peer, exchange, .handlerRefused, on: worker)
        case Status.reject: reject(peer, exchange, .notFound, on: worker)
        default:
            unsafe exchange.binding.pointee.failures.add(1, ordering: .relaxed)
            worker.server.log.warn("\(unsafe describe(exchange.binding)): answered a request with status \(status)")
            reject(peer, exchange, .handlerFailed, on: worker)
        }
    }

    /// A handler's answer, given at once or later, takes effect.
    func conclude(_ peer: ConnectionPointer, _ exchange: Exchange, _ reply: Reply, on worker: Worker) {
        _ = worker.server.pendingReplies.close(exchange.ticket)
        if exchange.handshake != nil, reply.acceptsUpgrade { return accept(peer, exchange, reply, on: worker) }
        if peer.pointee.flags.contains(.peerLeft) {
            // Nothing was accepted, so nothing is owed.
            peer.pointee.flags.remove(.peerLeft)
            return worker.closer.teardown(peer, on: worker)
        }
        var response = PlainResponse(status: reply.status, body: reply.body)
        response.headers = reply.headers
        // Nothing is served behind a refused upgrade: what follows may be frames.
        response.keepsAlive = exchange.handshake == nil && keepsAlive(exchange.head, on: worker)
        let headOnly = exchange.head.method == .head
        if exchange.handshake == nil {
            noteAnswer(to: peer, exchange.head, exchange, status: reply.status, on: worker)
        } else {
            noteRefusal(
                of: peer, exchange.head, exchange, status: reply.status, Rejection.handlerRefused.word, on: worker)
        }
        forget(peer, exchange, on: worker)
        respond(peer, response, headOnly: headOnly, on: worker)
    }

    /// The request is over and its connection belongs to no route any more.
    private func forget(_ peer: ConnectionPointer, _ exchange: Exchange, on worker: Worker) {
        _ = worker.server.pendingReplies.close(exchange.ticket)
        peer.pointee.unbind()
        peer.pointee.rareState?.admission = nil
        peer.pointee.exchange = nil
    }

    /// Says 101 and opens the connection (RFC 6455 4.2.2); frames may follow in the same packet.
    private func accept(_ peer: ConnectionPointer, _ exchange: Exchange, _ reply: Reply, on worker: Worker) {
        guard let handshake = exchange.handshake else { return }
        let binding = unsafe exchange.binding
        let head = exchange.head
        var chosen = handshake.subprotocol(reply.subprotocol.span, in: head)
        if reply.subprotocol.isEmpty {
            let listed = unsafe binding.pointee.route.subprotocols
            chosen = handshake.subprotocols.first { offer in listed.contains { $0.elementsEqual(head.bytes[offer]) } }
        }
        let compression = unsafe binding.pointee.route.agree(to: handshake.extensions, of: head, on: worker.port)
        let extensions = compression?.parameters.response ?? []
        if let stream = peer.pointee.rareState?.stream {
            stream.answer(
                handshake.acceptance(
                    subprotocol: chosen, of: head, extensions: extensions, headers: reply.headers))
        } else {
            response.removeAll(keepingCapacity: true)
            handshake.appendSwitchingProtocols(
                to: &response, subprotocol: chosen, of: head, extensions: extensions, headers: reply.headers)
            unsafe response.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
            worker.markDirty(peer)
        }
        if let compression { peer.pointee.begin(compression) }
        unsafe worker.slowConsumers.follow(binding, peer, on: worker)

        unsafe peer.pointee.state = unsafe UnsafeMutableRawPointer(bitPattern: reply.state)
        peer.pointee.phase = .open
        peer.pointee.lastMessage = worker.now
        peer.pointee.deadline = 0
        peer.pointee.pingDue =
            unsafe binding.pointee.limits.pingInterval == 0 ? 0 : worker.now + binding.pointee.limits.pingInterval
        peer.pointee.flags.insert(.opened)
        if let chosen { peer.pointee.ownRareState.subprotocol = head.string(chosen) }
        unsafe worker.port.sharedTable.post(peer.pointee.id, binding: binding, openedAt: worker.now)
        worker.timers.schedule(peer, on: worker)
        worker.countOpened(peer, nanoseconds: worker.clock() &- exchange.receivedAt)
        if worker.tracing.isActive { worker.tracing.opened(peer, on: worker) }
        // A peer that left before the handler answered is opened and closed in one go, and sends answer GW_E_CLOSED.
        let hasLeft = peer.pointee.flags.contains(.peerLeft)
        if hasLeft { worker.closer.noteTeardown(peer, on: worker) }
        if worker.makeCallbackQueue(peer) {
            peer.pointee.rareState?.callbacks?.stateAddress.store(reply.state, ordering: .relaxed)
            worker.run(peer, .open(RetainedExchange(exchange), subprotocol: chosen))
        } else {
            unsafe LoopRunner(worker: worker, peer: peer, binding: binding).open(exchange, chosen)
        }
        // Behind that: where the process dies of `open`, the request is turned away.
        noteOpened(peer, exchange, subprotocol: chosen, on: worker)
        if unsafe !binding.pointee.has(GW_HF_KEEP_REQUEST) { peer.pointee.exchange = nil }
        if hasLeft {
            worker.closer.teardown(peer, on: worker)
        } else if worker.isStopping {
            worker.closer.sendAway(peer, on: worker)
        }
    }

    // MARK: Plain requests

    /// What is reserved at once on the word of a Content-Length; the rest is reserved as bytes arrive.
    private static let trustedBody = 64 * 1024

    private func plainRequest(
        _ peer: ConnectionPointer, _ head: RequestHead, _ route: Route, _ parameters: [(name: String, value: [UInt8])],
        on worker: Worker
    ) {
        guard let binding = unsafe route.binding else {
            return reject(peer, head, .unavailable(route.handler), at: route, on: worker)
        }
        if let port = unsafe binding.pointee.instanceContext.isolated {
            unsafe peer.pointee.bind(binding)
            return worker.away.begin(peer, port, head: headBytes, on: worker)
        }
        if unsafe binding.pointee.handler.http == nil {
            return reject(peer, head, .notWebSocket, at: route, on: worker)
        }
        if head.isChunked {
            return reject(peer, head, .lengthRequired, at: route, on: worker)
        }
        let length = head.contentLength ?? 0
        if unsafe length > binding.pointee.limits.body {
            return reject(peer, head, .contentTooLarge, at: route, on: worker)
        }
        let exchange = unsafe newExchange(peer, head, binding, route, parameters, nil, on: worker)
        unsafe peer.pointee.bind(binding)
        peer.pointee.exchange = exchange
        if length == 0 { return ask(peer, exchange, on: worker) }
        peer.pointee.phase = .body
        exchange.body.reserveCapacity(min(length, Self.trustedBody))
        guard head.hasToken("100-continue", in: "expect"), head.minorVersion == 1 else { return }
        if let stream = peer.pointee.rareState?.stream {
            stream.inform(FieldList(status: 100))
        } else {
            unsafe Array("HTTP/1.1 100 Continue\r\n\r\n".utf8).withUnsafeBytes {
                unsafe peer.pointee.outbox.append($0, pool: worker.pool)
            }
            worker.markDirty(peer)
        }
    }

    /// Collects the body of a plain request.
    ///
    /// - Returns: false when it is not whole.
    func readBody(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, _ position: inout Int, on worker: Worker)
        -> Bool
    {
        guard let exchange = peer.pointee.exchange, let length = exchange.head.contentLength else { return false }
        let wanted = min(length - exchange.body.count, bytes.count - position)
        unsafe exchange.body.append(contentsOf: bytes[position..<position + wanted])
        position += wanted
        guard exchange.body.count == length else { return false }
        ask(peer, exchange, on: worker)
        return true
    }

    // MARK: Answers

    private func keepsAlive(_ head: RequestHead, on worker: Worker) -> Bool {
        // The next request may be for a route of another process.
        head.keepsAlive && head.http2 == nil && !worker.isEnding && worker.server.firstProcess == nil
    }

    /// Rejects a request. A body that will not be read closes the connection.
    private func reject(
        _ peer: ConnectionPointer, _ head: RequestHead, _ rejection: Rejection, at route: Route? = nil,
        _ exchange: Exchange? = nil, on worker: Worker
    ) {
        var answer = rejection.response
        answer.keepsAlive =
            keepsAlive(head, on: worker) && !head.hasBody && !head.hasToken("websocket", in: "upgrade")
            && !peer.pointee.flags.contains(.surplus)
        noteRefusal(of: peer, head, exchange, at: route, status: rejection.status, rejection.word, on: worker)
        respond(peer, answer, headOnly: head.method == .head, on: worker)
    }

    /// Rejects a request that a handler was asked about.
    private func reject(
        _ peer: ConnectionPointer, _ exchange: Exchange, _ rejection: Rejection, on worker: Worker
    ) {
        forget(peer, exchange, on: worker)
        reject(peer, exchange.head, rejection, exchange, on: worker)
    }

    /// Rejects a request that is not whole, or too late.
    func reject(_ peer: ConnectionPointer, _ rejection: Rejection, on worker: Worker) {
        let exchange = peer.pointee.exchange
        noteRefusal(of: peer, exchange?.head, exchange, status: rejection.status, rejection.word, on: worker)
        respond(peer, rejection.response, headOnly: false, on: worker)
    }

    /// Rejects a peer that has not asked anything and is not served: its socket is closed behind the answer.
    func reject(_ socket: consuming Socket, _ rejection: Rejection, on worker: Worker) {
        render(rejection.response, headOnly: false)
        reject(socket, rejection, saying: response, on: worker)
    }

    /// The same in bytes of the caller's.
    func reject(_ socket: consuming Socket, _ rejection: Rejection, saying answer: [UInt8], on worker: Worker) {
        worker.server.rejections.note(rejection.word)
        if let log = worker.routing.accessLog {
            var record = AccessRecord(event: .refuse)
            record.peer = socket.peerAddress?.description
            (record.status, record.reason) = (rejection.status, rejection.word)
            log.write(record)
        }
        // What has been asked is taken out: a socket that is closed with it unread resets, and takes the answer along.
        _ = unsafe socket.read(into: worker.input.front(ReadBuffer.readSize))
        // A fresh socket takes it at once.
        _ = unsafe answer.withUnsafeBytes { unsafe socket.write($0) }
        socket.finishSending()
    }

    private func render(_ answer: PlainResponse, headOnly: Bool) {
        response.removeAll(keepingCapacity: true)
        answer.append(to: &response, at: Clock.wallSeconds(), &dates, headOnly: headOnly)
    }

    private func respond(_ peer: ConnectionPointer, _ answer: PlainResponse, headOnly: Bool, on worker: Worker) {
        if let stream = peer.pointee.rareState?.stream {
            stream.answer(answer.fields(at: Clock.wallSeconds(), &dates))
            if answer.hasContent, !headOnly {
                unsafe answer.body.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
            }
        } else {
            render(answer, headOnly: headOnly)
            unsafe response.withUnsafeBytes { unsafe peer.pointee.outbox.append($0, pool: worker.pool) }
        }
        worker.markDirty(peer)
        peer.pointee.exchange = nil
        if answer.keepsAlive, peer.pointee.rareState?.stream == nil {
            peer.pointee.phase = .head
            worker.timers.setDeadline(peer, ticks: worker.routing.handshakeTimeout, on: worker)
        } else {
            worker.closer.end(peer, on: worker)
        }
    }

    // MARK: What is counted and logged

    /// - Parameter exchange: of a request that a handler was asked about.
    private func noteRefusal(
        of peer: ConnectionPointer, _ head: RequestHead?, _ exchange: Exchange? = nil, at route: Route? = nil,
        status: Int, _ word: String, on worker: Worker
    ) {
        worker.server.rejections.note(word)
        guard let log = worker.routing.accessLog else { return }
        var record = AccessRecord(.refuse, of: peer)
        (record.status, record.reason) = (status, word)
        if let head { record.note(head, exchange, on: worker) }
        if let route { record.note(route) }
        log.write(record)
    }

    private func noteAnswer(
        to peer: ConnectionPointer, _ head: RequestHead, _ exchange: Exchange?, status: Int, on worker: Worker
    ) {
        guard let log = worker.routing.accessLog else { return }
        var record = AccessRecord(.request, of: peer)
        record.note(head, exchange, on: worker)
        record.status = status
        log.write(record)
    }

    private func noteOpened(
        _ peer: ConnectionPointer, _ exchange: Exchange, subprotocol: Range<Int>?, on worker: Worker
    ) {
        guard let log = worker.routing.accessLog else { return }
        var record = AccessRecord(.open, of: peer)
        record.note(exchange.head, exchange, on: worker)
        record.status = exchange.head.http2 == nil ? 101 : 200
        record.subprotocol = subprotocol.map { exchange.head.string($0) }
        peer.pointee.ownRareState.loggedRequest = LoggedRequest(record)
        log.write(record)
    }

    func noteClosed(_ peer: ConnectionPointer, on worker: Worker) {
        guard let log = worker.routing.accessLog else { return }
        log.write(AccessRecord(endOf: peer, on: worker))
    }

    /// A binding for the log: handler and route.
    func describe(_ binding: UnsafeMutablePointer<Binding>) -> String {
        let route = unsafe binding.pointee.route
        return "handler \"\(route.handler)\" on \(route.name)"
    }
}
