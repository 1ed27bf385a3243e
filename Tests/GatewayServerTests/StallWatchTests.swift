import CLinux
import HandlerModules
import TestSupport
import Testing

@testable import GatewayServer

@Suite("callback_stall: a callback that holds up a loop is found while it does")
struct StallWatchTests {
    /// What looking comes to, call by call.
    private final class Watched {
        private var findings = StallFindings()

        func note(_ sighting: ThreadNote.Sighting?, on worker: UInt8, at now: UInt64) -> [String] {
            findings.note(sighting, on: worker, at: now)
        }

        var isAnyUnderWay: Bool { findings.isAnyUnderWay }
        var isAnyStalled: Bool { findings.isAnyStalled }
    }

    private static let site = CrashSite(handler: "chat", generation: 3, digest: 0, route: "/chat")
    private let millisecond: UInt64 = 1_000_000

    private func sighting(_ isSame: Bool, _ site: CrashSite, connection: UInt64 = 0x1F) -> ThreadNote.Sighting {
        ThreadNote.Sighting(site: site, callback: CLINUX_MESSAGE, connection: connection, isSame: isSame)
    }

    private func makeSite(patience: UInt32 = 100) -> CrashSite {
        let site = CrashSite(handler: "chat", generation: 3, digest: 0, route: "/chat")
        site.patience = patience
        return site
    }

    @Test("what runs for as long as it may is none, what runs for longer is told of once, and once more when it ends")
    func limit() {
        let site = makeSite()
        let findings = Watched()
        #expect(findings.note(sighting(false, site), on: 0, at: 1000 * millisecond) == [])
        #expect(findings.note(sighting(true, site), on: 0, at: 1100 * millisecond - 1) == [])
        #expect(site.stalls == 0 && !findings.isAnyStalled && findings.isAnyUnderWay)
        #expect(
            findings.note(sighting(true, site), on: 0, at: 1100 * millisecond) == [
                "handler \"chat\", generation 3: message() of connection 1f has held up worker 0 for 100 ms and goes on"
                    + " (callback_stall 100ms)"
            ])
        #expect(findings.isAnyStalled)
        #expect(findings.note(sighting(true, site), on: 0, at: 1500 * millisecond) == [])
        #expect(site.stalls == 1)
        #expect(
            findings.note(nil, on: 0, at: 1600 * millisecond) == [
                "handler \"chat\", generation 3: message() of connection 1f held up worker 0 for 600 ms"
            ])
        #expect(site.stalls == 1 && !findings.isAnyStalled && !findings.isAnyUnderWay)
    }

    @Test("one callback after the other, of the same connection, is none")
    func manyCallbacks() {
        let site = makeSite()
        let findings = Watched()
        for step in 0..<100 {
            #expect(findings.note(sighting(false, site), on: 0, at: UInt64(step) * 25 * millisecond) == [])
        }
        #expect(site.stalls == 0)
    }

    @Test("each worker is looked at by itself, and `off` is never told of")
    func workers() {
        let (slow, off) = (makeSite(), makeSite(patience: 0))
        let findings = Watched()
        _ = findings.note(sighting(false, slow, connection: 0), on: 1, at: 0)
        _ = findings.note(sighting(false, off), on: 2, at: 0)
        #expect(findings.note(sighting(true, off), on: 2, at: 9000 * millisecond) == [])
        let lines = findings.note(sighting(true, slow, connection: 0), on: 1, at: 150 * millisecond)
        #expect(lines.first?.contains("message() has held up worker 1 for 150 ms") == true)
        #expect(off.stalls == 0 && slow.stalls == 1)
    }

    @Test("repeats are counted, and told of every ten seconds")
    func repeats() {
        let site = makeSite()
        let findings = Watched()
        var lines: [String] = []
        for round in 0..<21 {
            let now = UInt64(round) * 1000 * millisecond
            lines += findings.note(sighting(false, site), on: 0, at: now)
            lines += findings.note(sighting(true, site), on: 0, at: now + 200 * millisecond)
            lines += findings.note(nil, on: 0, at: now + 300 * millisecond)
        }
        #expect(site.stalls == 21)
        #expect(lines.count == 6)
        #expect(lines.filter { $0.hasSuffix("; 9 more since the last time that was said") }.count == 2)
    }

    @Test("a note is seen as it stands: the next callback is another one, though it looks the same")
    func marks() {
        let note = ThreadNote.own
        #expect(note.look() == nil)
        for _ in 0..<2 {
            Self.site.enter(CLINUX_MESSAGE, connection: 5)
            #expect(note.look()?.isSame == false)
            let again = note.look()
            #expect(again?.isSame == true && again?.connection == 5 && again?.callback == CLINUX_MESSAGE)
            #expect(clinux_current_callback() == CLINUX_MESSAGE)
            CrashSite.leave()
        }
        #expect(note.look() == nil)
    }
}
