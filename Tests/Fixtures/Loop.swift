public import GatewayHandler
import Glibc
import Synchronization

struct Mishap: Error {}

/// A loop per connection that does what texts tell it to; what becomes of it is published as "news".
final class Loop: ImperativeHandler, RequestHandler {
    static let manifest = Manifest(name: "loop", options: .manualPong)
    private let gateway: Gateway
    private let isOpen = Mutex(false)

    init(_ context: borrowing StartContext) { gateway = context.gateway }

    func respond(to request: borrowing Request) -> Response? {
        isOpen.withLock { $0 = true }
        return .text("gone")
    }

    func run(_ session: Session) async throws {
        let thread = Thread()
        session.connection.subscribe(to: "news")
        let lingers: Bool
        do {
            lingers = try await obey(session, thread)
            gateway.publish("ended \(session.closeEvent?.code.rawValue ?? 0) \(Task.isCancelled)", to: "news")
        } catch let lost as ConnectionLost {
            gateway.publish("lost \(lost.event.code)", to: "news")
            return
        }
        if lingers {
            // The connection is gone, and still this is waited for.
            let result = try await session.offload { [self] in wait($0, evenIfCancelled: true) }
            gateway.publish("lingered \(result)", to: "news")
        }
    }

    private func obey(_ session: Session, _ thread: Thread) async throws -> Bool {
        var lingers = false
        for try await frame in session.frames {
            guard let text = frame.text else {
                if frame.kind == .ping { session.pong(frame) } else { session.send(frame) }
                continue
            }
            switch text {
            case "sleep":
                try await session.sleep(for: .milliseconds(5))
                session.send("slept \(thread.isThis)")
            case "sleep long":
                do { try await session.sleep(for: .seconds(600)) } catch {
                    gateway.publish("woken \(error is CancellationError)", to: "news")
                }
            case "work":
                let (value, isElsewhere) = try await session.offload { _ in (7, !thread.isThis) }
                session.send("\(value) \(isElsewhere) \(thread.isThis)")
            case "wait":
                let wasCancelled = try await session.offload { [self] in wait($0) }
                if wasCancelled { gateway.publish("cancelled", to: "news") } else { session.send("waited") }
            case "bad work": _ = try await session.offload { _ in throw Mishap() }
            case "timeout":
                do { _ = try await session.readFrame(within: .milliseconds(5)) } catch {
                    session.send("\(error) \(thread.isThis)")
                }
            case "next": session.send("next \(try await session.readFrame(within: .seconds(600))?.text ?? "nil")")
            case "try": session.send("\(session.tryReadFrame()?.text ?? "nothing")")
            case "race": session.send(try await race(session))
            case "children":
                async let one = session.offload { _ in 1 }
                async let two = session.offload { _ in 2 }
                session.send("\(try await one + two) \(thread.isThis)")
            case "post": session.connection.post { $0.send("posted") }
            case "linger": lingers = true
            case "draining": session.send("\(session.isDraining) \(gateway.generation)")
            case "throw": throw Mishap()
            case "return": return lingers
            case "close": session.close(CloseCode(4000), reason: "enough")
            default: session.send(frame)
            }
        }
        return lingers
    }

    /// Which of two things happens first: a frame, or five milliseconds; the other one is cancelled.
    private func race(_ session: Session) async throws -> String {
        try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask { try await session.readFrame()?.text ?? "nil" }
            group.addTask {
                try await session.sleep(for: .milliseconds(5))
                return "tired"
            }
            defer { group.cancelAll() }
            return try await group.next() ?? "none"
        }
    }

    /// Blocks until a plain request comes, or until nobody waits for it; the latter is true.
    private func wait(_ cancellation: Cancellation, evenIfCancelled: Bool = false) -> Bool {
        while !isOpen.withLock({ $0 }) {
            if !evenIfCancelled && cancellation.isCancelled { return true }
        }
        return cancellation.isCancelled
    }
}

/// The thread on which a task began.
private struct Thread: Sendable {
    private let number = pthread_self()
    var isThis: Bool { pthread_equal(number, pthread_self()) != 0 }
}

// The name is the ABI's; the compiler checks the rest against the prototype in gw_handler.h.
// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Loop.self, to: host)
}
