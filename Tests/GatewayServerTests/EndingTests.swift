import CLinux
import GatewayIO
import Glibc
import HandlerModules
import TestSupport
import Testing

@testable import GatewayServer

/// A process whose callback ends it while other threads are at something, seen through its ledger.
@Suite("A process ends when its threads have come to the end of what they are at")
struct EndingTests {
    /// Ends the process in a callback of a connection, with a thread that has turns and one of a pool.
    ///
    /// - Parameter how: `abort`, `exit`, or `stuck`, where nobody comes to an end.
    static func end(_ how: String, in file: String) -> Never {
        guard let ledger = try? Ledger(adopting: FileDescriptor(adopting: open(file, O_RDWR | O_CLOEXEC))),
            ledger.noteEndings(), clinux_record_crashes(-1) == 0
        else { _exit(77) }
        let waker = eventfd(0, 0)
        let ready = eventfd(0, 0)
        let isStuck = how == "stuck"
        _ = RunningThread {
            clinux_join_endings(waker)
            eventfd_write(ready, 1)
            var count: eventfd_t = 0
            repeat { eventfd_read(waker, &count) } while isStuck || clinux_is_ending() == 0
            // Work that is to be done before the end.
            ledger.memory.publish(1, at: ledger.layout.inputBytes(0))
            clinux_rest()
        }
        _ = RunningThread {
            clinux_begin_task()
            eventfd_write(ready, 1)
            while clinux_is_ending() == 0 { sched_yield() }
            ledger.memory.publish(1, at: ledger.layout.inputBytes(0) + 8)
            clinux_end_task()
            ledger.memory.publish(1, at: ledger.layout.inputBytes(0) + 16)
        }
        var count: eventfd_t = 0
        var begun: eventfd_t = 0
        while begun < 2 {
            eventfd_read(ready, &count)
            begun += count
        }
        CrashSite(handler: "x", generation: 1, digest: 1, route: "/").enter(CLINUX_MESSAGE, connection: 1)
        if how == "exit" { exit(4) }
        abort()
    }

    @Test(arguments: [
        ("abort", ExitTest.Condition.signal(SIGABRT), [1, 1, 0]), ("exit", .exitCode(4), [1, 1, 0]),
        ("stuck", .signal(SIGABRT), [0, 1, 0]),
    ]) func `by a fault or by itself, and soon in any case`(
        _ how: String, _ end: ExitTest.Condition, _ done: [UInt64]
    ) async throws {
        let file = try Ledger.makeFile(workers: 1, capacity: 4)
        let path = "/proc/\(getpid())/fd/\(file.number)"
        await #expect(processExitsWith: end) { [how = how as String, path = path as String] in
            EndingTests.end(how, in: path)
        }
        let layout = LedgerLayout(workers: 1, capacity: 4)
        #expect(LedgerReader.words(of: file, at: layout.inputBytes(0), 3) == done)
        #expect(try LedgerReader(file).finding(of: ConnectionID(1)) == .arriving(isCertain: true))
    }

    @Test func `outside of callbacks it ends as ever`() async throws {
        let file = try Ledger.makeFile(workers: 1, capacity: 4)
        let path = "/proc/\(getpid())/fd/\(file.number)"
        await #expect(processExitsWith: .exitCode(5)) { [path = path as String] in
            let ledger = try Ledger(adopting: FileDescriptor(adopting: open(path, O_RDWR | O_CLOEXEC)))
            precondition(ledger.noteEndings())
            exit(5)
        }
        #expect(try LedgerReader(file).finding(of: ConnectionID(1)) == .absent)
    }

    @Test func `what was promised to connections of other workers leaves, and no handler is called`() throws {
        let survival = try Survival("fixture_errands")
        let (peer, other) = (survival.open(), survival.open())
        for each in [peer, other] { each.say("sub a") }
        survival.old.step()
        _ = (peer.frames(), other.frames())
        // As if from another worker.
        let (host, instance) = (survival.old.host(), survival.old.binding().pointee.instanceID)
        Array("news".utf8).withUnsafeBytes { bytes in
            _ = "a".withCString { host.publish(instance, $0, 1, 0, .text, bytes, 0, nil) }
        }
        _ = host.close(peer.id.number, 1000, nil, 0)
        _ = host.post(instance, other.id.number, 1, nil, 0)
        survival.old.onWorker { survival.old.worker.ledger?.finishTurn(on: survival.old.worker) }
        #expect(other.texts == ["news"])
        #expect(peer.frames().map(\.closeCode).last == 1000)
        #expect(try survival.record(peer).phase == .closing)
        #expect(try survival.record(other).output.unsent.isEmpty)
    }
}
