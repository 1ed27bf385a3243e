public import GatewayHandler

/// Sends every frame back, in one of the ways a loop can be written; the first frame says in which.
final class Looping: ImperativeHandler {
    init(_ context: borrowing StartContext) {}

    func run(_ session: Session) async throws {
        switch try await session.readFrame()?.text {
        case "frames": for try await frame in session.frames { session.send(frame) }
        case "within": while let frame = try await session.readFrame(within: .seconds(600)) { session.send(frame) }
        case "slow": try await slow(session)
        case "elsewhere":
            // On threads of Swift's own, beside the callbacks of the connection.
            try await Task.detached { while let frame = try await session.readFrame() { session.send(frame) } }.value
        default: session.close(.policyViolation, reason: "frames, within, slow or elsewhere")
        }
    }

    private func slow(_ session: Session) async throws {
        var count = 0
        for try await frame in session.frames {
            count += 1
            if count.isMultiple(of: 8) { try await session.sleep(for: .milliseconds(1)) }
            session.send(frame)
        }
    }
}

// swift-format-ignore: AlwaysUseLowerCamelCase
@c @implementation
public func gw_handler_entry_v1(_ host: UnsafePointer<gw_host>?) -> UnsafePointer<gw_handler>? {
    Module.export(Looping.self, to: host)
}
