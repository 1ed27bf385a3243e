import GatewayHandler
import Synchronization

struct Mishap: Error, CustomStringConvertible {
    let description: String
}

/// The smallest handler.
final class Echo: ReactiveHandler {
    init(_ context: borrowing StartContext) {}

    func message(_ connection: Connection, _ message: borrowing Message) { connection.send(message) }
}

/// Every optional event, each answered with a send.
final class Everything: ReactiveHandler, RequestHandler, FragmentHandler, PingHandler, PongHandler, DrainHandler {
    static let manifest = Manifest(name: "everything", version: "2.1.0", options: [.serial, .manualPong])

    init(_ context: borrowing StartContext) {}

    func fragment(_ connection: Connection, _ fragment: borrowing Message, _ state: inout Void) {
        connection.send("fragment \(fragment.text ?? "-") \(fragment.isFirst) \(fragment.isFinal)")
    }

    func ping(_ connection: Connection, _ payload: RawSpan, _ state: inout Void) {
        connection.pong(payload.withUnsafeBytes { [UInt8]($0) })
    }

    func pong(_ connection: Connection, _ payload: RawSpan, _ state: inout Void) {
        connection.send("pong \(payload.byteCount)")
    }

    func drained(_ connection: Connection, _ state: inout Void) { connection.send("drained") }

    func respond(to request: borrowing Request) throws -> Response? {
        switch request.method {
        case "GET": return .html("<p>hello")
        case "POST": return Response(status: 201, headers: ["x-a": "1", "x-b": ""], body: request.body)
        case "PUT": throw Mishap(description: "no put")
        default: return nil
        }
    }
}

/// Counts its own beginnings and ends, so that a leak and a double free show.
final class Tracked: Sendable {
    struct Counts: Equatable, Sendable {
        var made = 0
        var freed = 0
    }

    static let counts = Mutex<[String: Counts]>([:])
    let name: String

    init(_ name: String) {
        self.name = name
        Self.counts.withLock { $0[name, default: Counts()].made += 1 }
    }

    deinit { Self.counts.withLock { $0[name, default: Counts()].freed += 1 } }

    static func counts(of name: String) -> Counts { counts.withLock { $0[name, default: Counts()] } }
}

/// A state that is counted; every callback throws when the settings say so. `set name` keeps tests apart.
final class Careful: StatefulHandler {
    struct Member {
        let token: Tracked
        var heard = 0
    }

    private let name: String
    private let faulty: String
    private let gateway: Gateway

    init(_ context: borrowing StartContext) throws {
        name = context.setting("name") ?? ""
        faulty = context.setting("throw") ?? ""
        gateway = context.gateway
        if faulty == "start" { throw Mishap(description: "cannot reach the database") }
    }

    private func mayThrow(_ place: String) throws {
        if faulty == place { throw Mishap(description: "in \(place)") }
    }

    func upgrade(_ request: borrowing Request) throws -> Upgrade<Member> {
        try mayThrow("upgrade")
        return .accept(Member(token: Tracked(name)))
    }

    func opened(_ connection: Connection, _ request: borrowing Request, _ state: inout Member) throws {
        try mayThrow("opened")
        connection.send("hello")
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ state: inout Member) throws {
        try mayThrow("message")
        state.heard += 1
        connection.send("\(state.heard)")
    }

    func failed(_ connection: Connection, _ failure: Failure, _ state: inout Member) {
        connection.log(.warning, "failed after \(state.heard): \(failure)")
    }

    func closed(_ connection: Connection, _ event: CloseEvent, _ state: inout Member) {
        gateway.log(
            .info,
            "closed \(event.code) '\(event.reason)' \(event.initiator == .peer) \(event.messagesReceived) "
                + "\(event.messagesSent) \(event.bytesReceived) \(event.bytesSent) \(event.systemError)")
    }

    func stop() { gateway.log(.info, "stopped") }
}
