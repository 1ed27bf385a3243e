import Bytes
import GatewayHTTP2
import GatewayIO
import HTTP
import Synchronization

/// What few connections have, kept beside the slot so that the others do not pay for it. The worker's own.
final class RareState {
    /// A topic the connection is subscribed to, and its place among the members there.
    struct Membership {
        let topic: WorkerTopic
        var index: Int
    }

    /// The options of the listener that accepted the connection, where they are not plain.
    var options = ListenerOptions.plain
    /// Where it is with the process of its handler.
    var away: AwayPeer?
    /// Where it cannot be given to that, and what goes between both is copied here.
    var relay: Relay?
    /// Where another process does that: what is known there of the peer.
    var relayed: RelayRecord?
    /// Where it speaks HTTP/2.
    var http2: HTTP2Session?
    /// Where it is a stream of a connection of HTTP/2.
    var stream: HTTP2Stream?
    /// What the peer says cannot be read on the way, here or up to the first proxy.
    var isSecure: Bool { options.isSecure || forwarded?.isSecure ?? false || relayed?.isSecure ?? false }
    /// For whom a proxy has connected, by its PROXY header.
    var announced: SocketAddress?
    /// For whom a proxy has asked, by the headers of the request.
    var forwarded: ForwardedPeer?
    var memberships: [Membership] = []
    /// The connection is counted for its address.
    var admission: AdmissionTicket?
    /// Whole messages that wait for the end of an open fragment stream to the peer.
    var held = SendQueue()
    /// Where permessage-deflate was agreed on.
    var compression: ConnectionCompression?
    /// A request head whose end has not come; the reader knows how far it has looked.
    var head: RequestHeadReader?
    /// The callbacks of the connection on their way to the pool, where the route says so.
    var callbacks: CallbackQueue?
    /// Of those, what is written down for another process.
    var calls: QueuedCalls?
    /// The body of the peer's Close, which the callback queue has not come to; the peer is not read from meanwhile.
    var peerClose: [UInt8]?
    /// The callback queue hands the connection over to another instance; the peer is not read from meanwhile.
    var isMoving = false
    /// The number of the instance that the connection was offered to last, when either side refused: it drains where it
    /// is until a later one comes.
    var refusedInstance: UInt64 = 0
    /// Where a frame begins in the stream of output, as `Connection.bytesOut` counts it: what waits in front of it has
    /// begun to leave, or stays for another reason. One that has left already means nothing: the front of the queue is
    /// such a place then. Nil where messages are not given up, so that nobody looks for them.
    var border: UInt64?
    /// The payload of the peer's last ping, whose pong waits for the transport.
    var unansweredPing: [UInt8]?
    /// How many there were since the transport took output last.
    var unansweredPings = 0
    /// What is known of output that waits for the transport; nil while none does.
    var unread: UnreadOutput?
    /// Why the connection ends, in the words of the side that ends it.
    var closeReason: [UInt8] = []
    /// errno of what broke it.
    var osError: UInt8 = 0
    /// The subprotocol that was chosen.
    var subprotocol: String?
    /// What the access log has said of the request.
    var loggedRequest: LoggedRequest?
    /// It was open, and nobody has told of its end (`UntoldEnding`).
    var isEndUntold = false
    /// Of a connection that somebody follows: what of the peer's frame has come.
    var incomingFrame: IncomingFrame?
}

extension RareState {
    /// The peer pings on without reading: it is not read from before the transport takes output.
    var asksTooMuch: Bool { unansweredPings >= 32 }
}

extension Connection {
    /// A request head has been read: nothing of it, or of the request before, is kept.
    mutating func forgetRequest() {
        guard let former = rareState else { return }
        rareState = nil
        if former.options !== ListenerOptions.plain { ownRareState.options = former.options }
        if let announced = former.announced { ownRareState.announced = announced }
        if let stream = former.stream { ownRareState.stream = stream }
        if let relayed = former.relayed { ownRareState.relayed = relayed }
        // Answers to requests before it may still wait.
        if let unread = former.unread { ownRareState.unread = unread }
    }

    /// What was agreed on with the peer so that nobody on the way reads along.
    var security: TransportSecurity? { rareState?.relayed?.security ?? transport.security }

    /// Where the peer has come to.
    var localAddress: SocketAddress? { rareState?.relayed?.local?.address ?? transport.localAddress }

    /// The rare state of the connection, made now if there is none.
    var ownRareState: RareState {
        mutating get {
            if let rareState { return rareState }
            let made = RareState()
            rareState = made
            return made
        }
    }
}

/// Routes with `dispatch pool`: what would be a callback of the loop is a call on the callback queue of the connection.
extension Connection {
    /// The peer waits for the pool: too much of what it sent has not been dealt with, or it is being handed over.
    var isHeldByPool: Bool {
        guard flags.contains(.throttled), let rareState, let callbacks = rareState.callbacks else { return false }
        return rareState.isMoving || rareState.peerClose != nil || callbacks.isHolding
    }

    /// The handler has closed the connection: what is still to be called of what the peer sent is not.
    func cutOffPool() { rareState?.callbacks?.isCutOff.store(true, ordering: .releasing) }
}
