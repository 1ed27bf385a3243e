public import GatewayHandler
import Synchronization

struct Mishap: Error {}

/// Everything the kit can do later, told by text; what comes back counts in the state of the connection.
final class Later: StatefulHandler, RequestHandler {
    static let manifest = Manifest(name: "later", options: .keepRequest)
    private let gateway: Gateway
    private let isOpen = Mutex(false)

    init(_ context: borrowing StartContext) { gateway = context.gateway }

    /// `?later` is let in or refused by the pool, when somebody has said "go".
    func upgrade(_ request: borrowing Request) throws -> Upgrade<Int> {
        guard request.query("later") != nil else { return .accept(0) }
        let (answer, isWelcome) = (request.answerLater(with: Int.self), request.query("later") == "yes")
        try gateway.offload { [self] _ in
            wait()
        } then: {
            if isWelcome { answer.answer(.accept(100)) } else { answer.answer(.reject(.text("no\n", status: 401))) }
            answer.answer(.reject())
        }
        return .later
    }

    func respond(to request: borrowing Request) throws -> Response? {
        if request.query("go") != nil {
            isOpen.withLock { $0 = true }
            return .text("gone")
        }
        let (answer, path) = (request.respondLater(), request.path)
        gateway.after(.milliseconds(5)) { [gateway] in
            let first = answer.answer(.text("later \(path)"))
            gateway.publish("\(first) \(answer.answer(nil))", to: .global("news"))
        }
        return .later
    }

    func opened(_ connection: Connection, _ request: borrowing Request, _ count: inout Int) {
        connection.subscribe(to: .global("news"))
    }

    func message(_ connection: Connection, _ message: borrowing Message, _ count: inout Int) throws {
        let tell: @Sendable (Connection, inout Int) -> Void = { connection, count in
            count += 1
            connection.send("\(count)")
        }
        switch message.text {
        case "post": post(to: connection, tell)
        case "after": after(.milliseconds(5), on: connection, tell)
        case "every": every(.milliseconds(2), on: connection, tell)
        case "work":
            try offload(for: connection) { _ in
                7
            } then: {
                $0.send("\($1) \($2)")
            }
        case "wait":
            try offload(for: connection) { [self] in
                wait($0)
            } then: {
                tell($0, &$2)
            }
        case "throw": connection.post { _ in throw Mishap() }
        case "bad work":
            try connection.offload { _ in
                throw Mishap()
            } then: { _, _ in
            }
        case "reach": connection.send("\(gateway.publish("all", to: .global("news"), except: connection).reached)")
        case "info": connection.send(connection.info?.subprotocol ?? "none")
        default: break
        }
    }

    /// Blocks until "go", or until nobody waits for it.
    private func wait(_ cancellation: Cancellation? = nil) {
        while !isOpen.withLock({ $0 }) && !(cancellation?.isCancelled ?? false) {}
        if cancellation?.isCancelled ?? false { gateway.publish("cancelled", to: .global("news")) }
    }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Later.self, to: host)
}
