package import GatewayConfiguration
import GatewayControl
import GatewayIO
import GatewayMetrics
import HTTP
import WebSocket

/// The control thread's end of the admin listener: answers with metrics and health, and tells dashboards.
///
/// It is on the control thread, which waits for nothing, so that it also answers when no worker does.
final class AdminEndpoint {
    /// A socket in a class, so that it can wait for the commit of a configuration.
    fileprivate final class Owner {
        var socket: AdminSocket
        init(_ socket: consuming AdminSocket) { self.socket = socket }
    }

    /// Another `admin` line that has been prepared and is not in effect.
    struct Change {
        fileprivate let configuration: AdminConfiguration?
        fileprivate let access: AdminAccess?
        fileprivate let token: BearerToken?
        /// Nil where the listener stays, or there is to be none.
        fileprivate let owner: Owner?
    }

    private var configuration: AdminConfiguration?
    private var owner: Owner?
    private var token: BearerToken?
    /// When the workers are asked next how long they take.
    private var nextQuestion: UInt64 = 0
    /// How often dashboards are told.
    private static let tellingInterval: UInt64 = 1_000_000_000
    /// When they are told next.
    private var nextTelling: UInt64 = 0
    /// How many changes of the timeline all of them know that have been told everything.
    private var toldChanges: UInt64 = 0

    init(_ configuration: AdminConfiguration?) throws(Server.Failure) {
        let change = try Self.prepare(configuration, before: nil)
        (self.configuration, owner, token) = (configuration, change.owner, change.token)
    }

    /// Takes the place of another program of this gateway: listens as that one did, or anew where it did not.
    func begin(_ configuration: AdminConfiguration?, adopted: consuming FileDescriptor?) throws(Server.Failure) {
        let change = try Self.prepare(configuration, before: nil, adopted: adopted)
        (self.configuration, owner, token) = (configuration, change.owner, change.token)
    }

    /// Another program of this gateway listens from now on; clients that are here get their answers, dashboards go there.
    func giveAway() throws(Errno) -> FileDescriptor? {
        guard let owner else { return nil }
        let duplicate = try owner.socket.giveAway()
        owner.socket.dismissDashboards(code: CloseCode.serviceRestart)
        return duplicate
    }

    /// Whether a client that is here has not got its answer.
    var owesAnswers: Bool { owner?.socket.owesAnswers ?? false }

    /// That program has gone.
    func takeBack() throws(Errno) { try owner?.socket.takeBack() }

    /// For registration with the control thread's poller, as readable; nil where there is none.
    var number: Int32? { owner?.socket.number }

    var address: SocketAddress? { owner?.socket.address }

    /// Where a browser on this machine finds the dashboard; nil when there is none, or no browser gets there.
    var dashboardURL: String? {
        guard let address, address.port != 0 else { return nil }
        if case .any? = configuration?.address { return "http://localhost:\(address.port)/" }
        return "http://\(address)/"
    }

    /// How long the control thread may sleep on account of it; nil = for ever.
    func milliseconds(_ now: UInt64) -> Int32? {
        guard let owner else { return nil }
        let telling = owner.socket.hasDashboards ? nextTelling : .max
        let deadline = min(owner.socket.deadline ?? .max, nextQuestion, telling)
        return Int32(clamping: (max(deadline, now) - now) / 1_000_000 + 1)
    }

    /// Refuses everybody from now on, and removes the file of a unix socket: the gateway is about to be gone.
    func close() {
        owner?.socket.dismissDashboards(code: CloseCode.goingAway)
        owner?.socket.close()
    }

    /// Takes what has come and answers it.
    func turn(_ server: Server) throws(Errno) {
        guard let owner else { return }
        askWorkers(server)
        let now = server.context.clock()
        for request in try owner.socket.turn(now: now) {
            switch request.asked {
            case .page(let page, let accept):
                owner.socket.answer(request.client, answer(page, accept, server), now: now)
            case .command(let command): carryOut(command, for: request.client, server)
            }
        }
    }

    // MARK: The dashboard

    /// Tells dashboards what there is to tell; where none is open nothing is looked at.
    func tellDashboards(_ server: Server) {
        guard let owner, owner.socket.hasDashboards else { return }
        let now = server.context.clock()
        let timeline = server.handlerManager.timeline
        let isDue = now >= nextTelling || timeline.changes != toldChanges
        guard isDue || owner.socket.hasNewcomers else { return }
        let known = toldChanges
        var texts: [Bool: [UInt8]] = [:]
        owner.socket.tell(newcomersOnly: !isDue, now: now) { everything in
            if let text = texts[everything] { return text }
            let entries = timeline.entries(since: everything ? 0 : known)
            let text = Array(DashboardSnapshot.text(server, timeline: entries).utf8)
            texts[everything] = text
            return text
        }
        guard isDue else { return }
        nextTelling = now &+ Self.tellingInterval
        toldChanges = timeline.changes
    }

    private func carryOut(_ command: ControlCommand, for client: UInt64, _ server: Server) {
        if command.isEnd, server.phase != .serving {
            return answer(client, ControlAnswer("the gateway is \(server.phase.rawValue)", exit: 75))
        }
        if let answer = server.carryOut(command, for: .admin(client)) {
            self.answer(client, answer)
        } else if command.isEnd {
            // Whoever drains from a terminal waits for the end; a page goes on to show how it comes.
            let text = "draining: new connections are refused, those that are here may stay for a while"
            answer(client, ControlAnswer(text, exit: 0))
        }
    }

    /// Answers a command as JSON: whether it was done, and what `gateway` prints for it.
    func answer(_ client: UInt64, _ answer: ControlAnswer) {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("accepted", answer.exit == 0)
            writer.member("exit", answer.exit)
            writer.member("outcome", answer.text)
        }
        // 75: refused, and what served before serves on.
        let status = answer.exit == 0 ? 200 : answer.exit == 75 ? 409 : 404
        owner?.socket.answer(
            client, PlainResponse(status: status, contentType: "application/json", body: Array(writer.text.utf8)))
    }

    /// Asks the workers how long they take to hear of it.
    private func askWorkers(_ server: Server) {
        let now = server.context.clock()
        guard now >= nextQuestion else { return }
        nextQuestion = now &+ LoopLag.interval
        for port in server.context.ports where port.lag.ask(at: now) { port.post(.lag(port.lag)) }
    }

    private func answer(_ page: AdminAccess.Page, _ accept: String, _ server: Server) -> PlainResponse {
        switch page {
        case .metrics:
            let format = MetricFormat(accept: accept)
            return PlainResponse(
                status: 200, contentType: format.contentType, body: Array(format.text(server.metrics()).utf8))
        case .health: return PlainResponse(status: 200, body: Array("ok\n".utf8))
        case .readiness:
            let reasons = server.unreadiness()
            if reasons.isEmpty { return PlainResponse(status: 200, body: Array("ready\n".utf8)) }
            return PlainResponse(status: 503, body: Array(reasons.map { "\($0)\n" }.joined().utf8))
        }
    }

    // MARK: Changing

    /// Reads and opens what a line asks for; nothing changes yet.
    func prepare(_ next: AdminConfiguration?) throws(Server.Failure) -> Change {
        try Self.prepare(next, before: configuration)
    }

    private static func prepare(
        _ next: AdminConfiguration?, before: AdminConfiguration?, adopted: consuming FileDescriptor? = nil
    ) throws(Server.Failure) -> Change {
        guard let next else { return Change(configuration: nil, access: nil, token: nil, owner: nil) }
        let number = adopted.take()?.release()
        let token = try Self.token(next)
        let access = Self.access(next, token)
        if next.address == before?.address {
            return Change(configuration: next, access: access, token: token, owner: nil)
        }
        do throws(Errno) {
            let address = number.map { Listener.Address.adopted($0) } ?? Self.listenerAddress(next.address)
            let socket = try AdminSocket(address, access)
            return Change(configuration: next, access: access, token: token, owner: Owner(socket))
        } catch {
            throw Server.Failure(
                description: "\(next.origin): \"admin\" cannot listen on \(next.address): \(error)",
                isConfiguration: false)
        }
    }

    /// A socket file is for our own user, as that of `control` is.
    private static func listenerAddress(_ address: ListenAddress) -> Listener.Address {
        switch address {
        case .any(let port): .any(port: port)
        case .ipv4(let bytes, let port): .ipv4(bytes, port: port)
        case .ipv6(let bytes, let port): .ipv6(bytes, port: port)
        case .unix(let path): .privateUnix(path: path)
        case .descriptor(let number): .inherited(number)
        }
    }

    /// What its file holds; nil where no token is asked for.
    fileprivate static func token(_ admin: AdminConfiguration) throws(Server.Failure) -> BearerToken? {
        guard let file = admin.tokenFile else { return nil }
        do throws(BearerToken.Failure) {
            return try BearerToken(file: file)
        } catch {
            throw Server.Failure(description: "\(admin.origin): token_file: \(error)", isConfiguration: true)
        }
    }

    private static func access(_ admin: AdminConfiguration, _ token: BearerToken?) -> AdminAccess {
        if case .unix = admin.address { return AdminAccess(token: token, hosts: nil) }
        return AdminAccess(token: token, hosts: admin.hosts + [AdminAccess.ownName])
    }

    /// From here on the line is in effect. Clients of a listener that stays stay, too.
    ///
    /// - Returns: what has changed beside the line itself.
    func commit(_ change: Change, _ loop: ControlLoop) -> [String] {
        let isSame = change.configuration?.address == configuration?.address
        let isSameFile = change.configuration?.tokenFile == configuration?.tokenFile
        let isOtherToken = isSame && isSameFile && change.token != token
        configuration = change.configuration
        token = change.token
        if isSame {
            if let access = change.access { owner?.socket.access = access }
            // They are let in again by whoever knows the new one. RFC 6455 7.4.1: 1008 is a violation of a policy.
            if isOtherToken { owner?.socket.dismissDashboards(code: 1008) }
            return isOtherToken ? ["admin: another token"] : []
        }
        close()
        owner = change.owner
        // Without it the loop comes by once a second all the same.
        if let number { try? loop.watch(number) }
        return []
    }
}

/// What `gateway check` finds out about `admin`.
package enum AdminCheck {
    /// Reads the token and listens nowhere.
    ///
    /// - Returns: a text for what is wrong.
    package static func troubles(_ configuration: Configuration) -> [String] {
        guard let admin = configuration.admin else { return [] }
        do throws(Server.Failure) {
            _ = try AdminEndpoint.token(admin)
            return []
        } catch {
            let (origin, what) = (admin.origin, error.description)
            let prefix = "\(origin): "
            return ["\(prefix)error: \(what.hasPrefix(prefix) ? String(what.dropFirst(prefix.count)) : what)"]
        }
    }
}
