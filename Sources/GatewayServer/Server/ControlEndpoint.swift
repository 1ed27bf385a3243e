import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc

/// The control thread's end of the control socket: takes commands and passes them to the server.
///
/// Commands that last until the gateway ends are answered by `finish`.
final class ControlEndpoint {
    private var socket: ControlSocket
    private var waiting: [UInt64] = []

    /// Nil when there is to be no socket. A socket that the configuration does not name may fail with a warning.
    ///
    /// - Parameter adopted: the socket that another program of this gateway has listened with there.
    init?(
        _ configuration: Configuration, _ log: Log, adopted: consuming FileDescriptor? = nil
    ) throws(Server.Failure) {
        guard let path = configuration.controlPath else { return nil }
        do throws(Errno) {
            socket = try ControlSocket(path: path, adopted: adopted)
        } catch {
            let reason =
                error.code == EADDRINUSE ? "another gateway, or another kind of file, is there" : error.description
            let sentence = "no control socket at \(path): \(reason)"
            guard let origin = configuration.controlOrigin else {
                log.warn("\(sentence); `gateway status` and the like will not find this gateway")
                return nil
            }
            throw Server.Failure(description: "\(origin): \(sentence)", isConfiguration: false)
        }
    }

    /// Two gateways with one control socket are one too many: whoever asks would hear the first one only. Before anything
    /// else fails over what they also share.
    static func refuseRival(_ configuration: Configuration) throws(Server.Failure) {
        guard let path = configuration.controlPath, let rival = RivalGateway(at: path) else { return }
        let origin = configuration.controlOrigin.map { "\($0): " } ?? ""
        throw Server.Failure(description: origin + rival.refusal(at: path), isConfiguration: false)
    }

    /// For registration with the control thread's poller, as readable.
    var number: Int32 { socket.number }

    /// How long the control thread may sleep on account of it; nil = for ever.
    func milliseconds(_ now: UInt64) -> Int32? {
        guard let deadline = socket.deadline else { return nil }
        return Int32(clamping: (max(deadline, now) - now) / 1_000_000 + 1)
    }

    /// Takes what has come and answers it.
    func turn(_ server: Server) throws(Errno) {
        for request in try socket.turn(now: server.context.clock()) {
            if let answer = server.carryOut(request.command, for: .control(request.client)) {
                socket.answer(request.client, answer)
            } else if request.command.isEnd {
                waiting.append(request.client)
            }
        }
    }

    /// Another program of this gateway takes commands from now on; clients that are here get their answers.
    func giveAway() throws(Errno) -> FileDescriptor? { try socket.giveAway() }

    /// Whether a client that is here has not got its answer.
    var owesAnswers: Bool { socket.owesAnswers }

    /// That program has gone.
    func takeBack() throws(Errno) { try socket.takeBack() }

    /// Answers a command whose answer took its time.
    func answer(_ client: UInt64, _ answer: ControlAnswer) { socket.answer(client, answer) }

    /// Whether a client still waits for its answer.
    func isAwaited(by client: UInt64) -> Bool { socket.isAwaited(by: client) }

    /// Whether a client has taken everything that it was sent.
    func isReady(_ client: UInt64) -> Bool { socket.isReady(client) }

    /// Sends a part of what a client follows.
    func send(_ client: UInt64, _ text: String) { socket.send(client, text) }

    /// Tells the clients that waited for it that the gateway has ended.
    func finish(_ answer: ControlAnswer = ControlAnswer("stopped", exit: 0)) {
        // A client that waited may start the next gateway at once.
        socket.stopListening()
        for client in waiting { socket.answer(client, answer) }
        waiting = []
    }
}
