import Glibc
import TestSupport
import Testing

/// Holds up a callback of the fixture `blocker` for as long as a test likes. Whatever the test waits for longer than ten
/// seconds is an error.
final class Gate {
    private var toHandler: [Int32] = [0, 0]
    private var fromHandler: [Int32] = [0, 0]

    init() throws {
        try #require(pipe(&toHandler) == 0 && pipe(&fromHandler) == 0)
    }

    deinit {
        // A callback that is still held up goes on, and finds an end where it expects a byte.
        for descriptor in toHandler + fromHandler { close(descriptor) }
    }

    /// How the fixture knows it.
    var text: String { "\(toHandler[0]).\(fromHandler[1])" }

    /// Returns when a callback stands in it, or has written so many bytes otherwise, and answers them.
    @discardableResult
    func entered(_ count: Int = 1) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var interest = pollfd(fd: fromHandler[0], events: Int16(POLLIN), revents: 0)
            try #require(poll(&interest, 1, 10_000) == 1, "nobody came to the gate")
            var byte: UInt8 = 0
            try #require(read(fromHandler[0], &byte, 1) == 1)
            bytes.append(byte)
        }
        return bytes
    }

    /// Whether nobody has come so far.
    var isEmpty: Bool {
        var interest = pollfd(fd: fromHandler[0], events: Int16(POLLIN), revents: 0)
        return poll(&interest, 1, 0) == 0
    }

    /// Lets so many callbacks pass, now or later.
    func release(_ count: Int = 1) {
        let bytes = [UInt8](repeating: 1, count: count)
        _ = write(toHandler[1], bytes, count)
    }
}

extension TestGateway {
    /// The fixture on the pool at /probe, and beside it on the loop at /loop.
    static func blocking(
        _ fixture: String = "blocker_v1", route: String = "", defaults: String = "", threads: Int = 1
    ) throws -> TestGateway {
        try TestGateway(
            handler: "fixture_\(fixture)", route: "dispatch pool; \(route)", defaults: defaults,
            rest: "route /loop { handler fixture_\(fixture); }", threads: threads)
    }

    /// What the fixture found out about what it was promised.
    func check(_ path: String = "/probe") throws -> String { try TestClient(port: port).get(path).body }

    /// Whether everybody has left and nothing was broken, after a moment perhaps.
    func isIntact(live: Int = 0) throws -> Bool {
        try eventually { try check() == "1 broken 0 live \(live) body 0" }
    }
}
