import CLinux
import GatewayConfiguration
import GatewayIO
import Glibc
import TestSupport
import Testing

@testable import GatewayServer

/// Processes that die in the midst of what they are at, and what they leave behind.
@Suite("What has been read and not answered is read once more")
struct LedgerInputTests {
    static let id = ConnectionID(worker: 0, slot: 0, serial: 1)

    /// Dies by what its peer says.
    ///
    /// - Parameters:
    ///   - file: a file of a ledger in another process, by its path.
    ///   - first: said before, and answered.
    ///   - last: said at once.
    static func die(in file: String, route: String, saying first: [UInt8], then last: [UInt8]) -> Never {
        do {
            let steps = try StepWorker(
                handler: "fixture_counter_v1", route: route, rest: "defaults { ping_interval off; }",
                checkpoint: .message, ledger: open(file, O_RDWR | O_CLOEXEC))
            precondition(steps.server.context.ledger?.noteEndings() ?? false, "no ledger")
            precondition(clinux_record_crashes(-1) == 0, "no handler")
            steps.worker.ledger?.join(on: steps.worker)
            let peer = SocketPeer(of: steps)
            peer.say(
                Array(
                    """
                    GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n
                    """.utf8))
            steps.step()
            _ = peer.heard()
            if !first.isEmpty {
                peer.say(first)
                precondition(
                    eventually {
                        steps.step(); return !peer.heard().isEmpty
                    }, "no answer")
            }
            steps.step()
            peer.say(last)
            // On the pool it takes its time.
            _ = eventually {
                steps.step()
                steps.worker.ledger?.restIfEnding(on: steps.worker)
                return false
            }
        } catch {
            fatalError("\(error)")
        }
        _exit(77)
    }

    private func texts(_ texts: String...) -> [UInt8] { texts.flatMap { ClientFrame(1, Array($0.utf8)).bytes } }

    /// What a process leaves that dies so.
    private func leave(
        _ first: [UInt8], _ last: [UInt8], route: String = "", _ end: ExitTest.Condition
    ) async throws -> LedgerReader {
        let file = try Ledger.makeFile(workers: 1, capacity: 64)
        let path = "/proc/\(getpid())/fd/\(file.number)"
        await #expect(processExitsWith: end) {
            [path = path as String, route = route as String, first = first as [UInt8], last = last as [UInt8]] in
            LedgerInputTests.die(in: path, route: route, saying: first, then: last)
        }
        return try LedgerReader(file)
    }

    private func state(_ record: ConnectionRecord?) -> Int? {
        record?.handler?.state?.data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    }

    @Test func `a process that is killed: all of it`() async throws {
        let last = texts("b", "vanish", "c") + [0x81, 0x85]
        let reader = try await leave(texts("a"), last, .signal(SIGKILL))
        guard case .goesOn(let record) = reader.finding(of: Self.id) else {
            Issue.record("\(reader.finding(of: Self.id))")
            return
        }
        #expect(record.input.leftover == last && state(record) == 1 && record.traffic.messagesIn == 1)
        // Nobody says what it was killed by.
        #expect(reader.resumption(of: Self.id) == nil)
    }

    @Test(arguments: [("crash", ExitTest.Condition.signal(SIGABRT)), ("leave", .exitCode(3))])
    func `a process that dies in a callback: all but the message it died of`(
        _ text: String, _ end: ExitTest.Condition
    ) async throws {
        let reader = try await leave(texts("a"), texts("b", text, "c") + [0x81, 0x85], end)
        guard case .died(.some(let record)) = reader.finding(of: Self.id) else {
            Issue.record("\(reader.finding(of: Self.id))")
            return
        }
        #expect(record.output.unsent.isEmpty && record.traffic.messagesIn == 1)
        let resumed = try #require(reader.resumption(of: Self.id))
        #expect(resumed.input.leftover == texts("b", "c") + [0x81, 0x85] && state(resumed) == 1)
        let other = ConnectionID(worker: 0, slot: 1, serial: 1)
        #expect(reader.finding(of: other) == .absent && reader.resumption(of: other) == nil)
    }

    @Test func `the same of a message that has begun before`() async throws {
        let frames = [
            ClientFrame(1, Array("cr".utf8), isFinal: false).bytes, ClientFrame(9).bytes,
            ClientFrame(0, Array("ash".utf8)).bytes,
        ]
        let reader = try await leave(frames[0] + frames[1], frames[2] + texts("c"), .signal(SIGABRT))
        let resumed = try #require(reader.resumption(of: Self.id))
        #expect(resumed.input.leftover == texts("c") && resumed.input.message.isEmpty && state(resumed) == 0)
    }

    @Test func `nothing where something of the answers has left`() async throws {
        // One of more than 16 KiB leaves at once.
        let reader = try await leave(texts("a"), texts("flood", "crash"), route: "send_buffer 64m;", .signal(SIGABRT))
        if case .died(.some) = reader.finding(of: Self.id) { Issue.record("a Close would stand inside a message") }
        #expect(reader.resumption(of: Self.id) == nil)
    }

    @Test func `a callback on the pool: all but the message it died of`() async throws {
        let frames = texts("b", "crash", "c") + [0x81, 0x85]
        let reader = try await leave(texts("a"), frames, route: "dispatch pool;", .signal(SIGABRT))
        guard case .died(.some(let record)) = reader.finding(of: Self.id) else {
            Issue.record("\(reader.finding(of: Self.id))")
            return
        }
        #expect(record.input.queued.first?.text == "crash" && state(record) == 2)
        let resumed = try #require(reader.resumption(of: Self.id))
        #expect(resumed.input.queued.map(\.text) == ["c"] && resumed.input.leftover == [0x81, 0x85])
        #expect(state(resumed) == 2)
    }

    @Test func `a process that is killed with calls on the pool`() async throws {
        let frames = texts("b", "vanish", "c")
        let reader = try await leave(texts("a"), frames, route: "dispatch pool;", .signal(SIGKILL))
        guard case .goesOn(let record) = reader.finding(of: Self.id) else {
            // Its output may have been with the kernel just then.
            if case .lost = reader.finding(of: Self.id) { return }
            Issue.record("\(reader.finding(of: Self.id))")
            return
        }
        let waits = record.input.queued.map(\.text)
        // What has not been read, and what has been done, as far as the worker knows.
        let rest = waits + (record.input.leftover.isEmpty ? [] : ["b", "vanish", "c"])
        #expect(record.input.leftover.isEmpty || record.input.leftover == frames)
        #expect(["a", "b", "vanish", "c"].suffix(rest.count) == rest[...] && state(record) ?? 0 == 4 - rest.count)
        #expect(reader.suspects(record) == (waits.first == "vanish"))
        #expect(reader.resumption(of: Self.id) == nil)
    }
}
