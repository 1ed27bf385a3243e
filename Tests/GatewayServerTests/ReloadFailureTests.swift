import GatewayServer
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite("A module that is not good changes nothing, and the outcome says why")
struct ReloadFailureTests {
    /// Says something all the time, and checks every answer.
    private final class Traffic: Sendable {
        private let isOver = Atomic(false)
        private let seen = Mutex<(count: Int, wrong: [String])>((0, []))
        private let thread = Mutex<RunningThread?>(nil)

        init(_ gateway: ReloadGateway) throws {
            let client = try gateway.connect()
            #expect(try client.say("x") == "1 1 x")
            // Only its thread uses it from here on.
            nonisolated(unsafe) let talking = client
            thread.withLock { $0 = RunningThread { [self] in talk(talking) } }
        }

        private func talk(_ client: TestClient) {
            var count = 1
            while !isOver.load(ordering: .relaxed) {
                count += 1
                let answer = (try? client.say("x")) ?? "nothing"
                let isWrong = answer != "1 \(count) x"
                seen.withLock {
                    $0.count = count
                    if isWrong { $0.wrong.append(answer) }
                }
                if isWrong { return }
            }
        }

        /// What went wrong, and how much was said.
        func end() -> (count: Int, wrong: [String]) {
            while seen.withLock({ $0.count < 2 && $0.wrong.isEmpty }) { sched_yield() }
            isOver.store(true, ordering: .relaxed)
            thread.withLock { $0.take() }?.join()
            return seen.withLock { $0 }
        }
    }

    static let bad: [(fixture: String, says: String)] = [
        ("crash_constructor", "crashed while loading (SIGABRT in a library constructor, before gw_handler_entry_v1)"),
        ("crash_entry", "crashed while loading (SIGSEGV in gw_handler_entry_v1)"),
        ("crash_start", "crashed while starting (SIGSEGV in start of route /counter)"),
        ("abort_stop", "crashed while stopping (SIGABRT in stop of route /counter)"),
        (
            "exit_in_constructor",
            "ended the process while loading (exit status 0 in a library constructor, before gw_handler_entry_v1)"
        ),
        ("exit_in_start", "ended the process while starting (exit status 3 in start of route /counter)"),
        (
            "hang_constructor",
            "hung while loading (still busy after 1.0 seconds in a library constructor, before gw_handler_entry_v1)"
        ),
        ("hang_start", "hung while starting (still busy after 1.0 seconds in start of route /counter)"),
        (
            "unresolved",
            "its module cannot be loaded: undefined symbol: function_of_a_library_nobody_linked"
        ),
        ("no_entry", "its module cannot be loaded: it does not export gw_handler_entry_v1"),
        ("entry_v2", "its module cannot be loaded: it needs ABI major 2, this gateway speaks 1"),
        ("silent_null", "its entry declined: it gave no reason"),
        ("null_table", "its entry declined: \"the licence file is missing\""),
        ("newer_major", "its module cannot be used: it needs ABI major 2, this gateway speaks 1"),
        ("newer_minor", "its module cannot be used: it needs host ABI 1.3, this gateway offers 1.2"),
        ("no_start", "its module cannot be used: its table has no start"),
        ("no_callbacks", "its module cannot be used: its table has none of message, fragment, http"),
        ("tiny_table", "its module cannot be used: its table says struct_size 8, which cannot be"),
        ("huge_table", "its module cannot be used: its table says struct_size 4294967280, which cannot be"),
        ("nameless", "its module cannot be used: its table has no name"),
        ("bad_name", "its module cannot be used: the name in its table is too long or not UTF-8"),
        ("refuses_start", "refused to start: \"the setting \"room\" is missing\" (GW_E_INVALID)"),
    ]

    // A sanitizer has its own opinion of what exit(0) in the middle of something means.
    @Test(arguments: bad.filter { !(Sanitizer.isAddress || Sanitizer.isThread) || $0.fixture != "exit_in_constructor" })
    func `is refused while traffic goes on`(_ mistake: (fixture: String, says: String)) throws {
        // A busy machine needs more than a moment for what does not hang.
        let gateway = try ReloadGateway(route: mistake.says.hasPrefix("hung") ? "start_timeout 1s;" : "")
        let traffic = try Traffic(gateway)
        for way in ReloadGateway.Way.allCases {
            let answer = try gateway.reload(mistake.fixture, way)
            #expect(answer.text.hasPrefix("handler \"counter\": \(mistake.says).\n"), "\(answer.text)")
            #expect(answer.text.contains("Still serving: generation 1."), "\(answer.text)")
            #expect(answer.exit == 75)
        }
        let (count, wrong) = traffic.end()
        #expect(wrong.isEmpty)
        #expect(count > 1)
        // The same gateway takes a good one afterwards.
        try gateway.reload("counter_v2").expectDone()
        #expect(try gateway.connect().say("a") == "2 1 a")
    }

    @Test func `half a file is refused, whatever half`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let whole = ReloadGateway.bytes("counter_v2")
        for part in [0, 1, 63, 64, 4096, whole.count / 2, whole.count - 1] {
            ReloadGateway.write(whole[..<part], to: gateway.plugins + "/counter.so")
            let answer = try gateway.command(.reload("counter"))
            #expect(answer.exit == 75)
            #expect(answer.text.hasSuffix("Still serving: generation 1.\n"), "\(answer.text)")
        }
        #expect(try client.say("a") == "1 1 a")
    }

    @Test func `one route that refuses keeps the others as they are`() throws {
        let gateway = try ReloadGateway(
            routes: "route /a { handler counter; } route /b { handler counter; }")
        let client = try gateway.connect(path: "/a")
        #expect(try client.say("a") == "1 1 a")
        let answer = try gateway.configure("route /a { handler counter; } route /b { handler counter; set refuse it; }")
        #expect(answer.exit == 75)
        #expect(answer.text.hasPrefix("configuration refused, nothing was changed:\nhandler \"counter\": "))
        #expect(answer.text.contains("\"it was told to\" (GW_E_INVALID)"))
        try gateway.reload("counter_v2").expectDone()
        #expect(try client.say("b") == "2 2 b")
    }

    @Test func `one route that does not start answers 503, the others serve, cold and live`() throws {
        let routes = "route /a { handler counter; } route /b { handler counter; set refuse it; }"
        let gateway = try ReloadGateway(routes: routes)
        let client = try gateway.connect(path: "/a")
        #expect(try client.say("a") == "1 1 a")
        #expect(try TestClient(port: gateway.port).get("/b").status == 503)
        let status = try gateway.command(.status(.text))
        #expect(status.exit == 1)
        #expect(status.text.contains("degraded, 1 of 2 routes unavailable"))
        #expect(status.text.contains("refused to start: \"it was told to\""), "\(status.text)")
        let answer = try gateway.reload("counter_v2")
        #expect(answer.exit == 0, "what did not serve before is not lost")
        #expect(answer.text.contains("route /b: not served\nhandler \"counter\": refused to start"), "\(answer.text)")
        #expect(answer.text.contains("This route answers 503 handler-unavailable; the others are served."))
        #expect(try client.say("b") == "2 2 b")
        #expect(try TestClient(port: gateway.port).get("/b").status == 503)
        let mended = try gateway.configure("route /a { handler counter; } route /b { handler counter; }")
        #expect(mended.text.hasPrefix("route /b: added, handler \"counter\"\n"), "\(mended.text)")
        #expect(try gateway.connect(path: "/b").say("c") == "2 1 c")
        try gateway.command(.status(.text)).expectDone()
    }

    @Test func `a route that serves is not given up for a new build`() throws {
        let gateway = try ReloadGateway(
            "works", routes: "route /a { handler counter; } route /b { handler counter; set refuse it; }")
        let answer = try gateway.reload("counter_v1")
        #expect(answer.exit == 75)
        #expect(answer.text.contains("\"it was told to\" (GW_E_INVALID)"))
        #expect(answer.text.contains("Route: /b"), "\(answer.text)")
        #expect(answer.text.hasSuffix("Still serving: generation 1.\n"))
    }

    @Test func `a file whose start is refused at a cold start is not replaced by an older one`() throws {
        let first = try ReloadGateway(route: "probation 20ms;")
        let digest = try first.digest
        #expect(eventually { first.lastGood == digest })
        first.stop()
        let routes = "route /counter { handler counter; } route /x { handler works; }"
        let second = try ReloadGateway("refuses_start", routes: routes, others: ["works"], after: first)
        #expect(try TestClient(port: second.port).get("/counter").status == 503)
        #expect(try second.status().contains("the setting \"room\" is missing"))
    }

    // MARK: Handlers that take their time

    @Test func `who does not come back from restore_self is left alone, and nothing has changed`() throws {
        let gateway = try ReloadGateway(route: "start_timeout 1s;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        let answer = try gateway.reload("counter_hangs_restoring")
        #expect(answer.exit == 75)
        #expect(
            answer.text.hasPrefix(
                "handler \"counter\": generation 2 was still busy with its restore_self after 1000 ms."),
            "\(answer.text)")
        #expect(try client.say("b") == "1 2 b")
        try gateway.reload("counter_v2").expectDone()
        #expect(try client.say("c") == "2 3 c")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }

    @Test func `who does not come back from save_self is replaced without what it knows`() throws {
        let gateway = try ReloadGateway("counter_hangs_saving", route: "start_timeout 1s;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "hangs saving 1 a")
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("1 connection moved"))
        #expect(try client.say("b") == "2 2 b")
        #expect(try gateway.ask() == "2 1 1")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }

    @Test func `who does not come back from an event is replaced without it`() throws {
        let gateway = try ReloadGateway("counter_hangs_hearing", route: "start_timeout 1s;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "hangs hearing 1 a")
        #expect(try gateway.reload("counter_v2").timeless.hasSuffix("1 connection moved"))
        #expect(try client.say("b") == "2 2 b")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }

    @Test func `who is slow to stop holds nobody up`() throws {
        let gateway = try ReloadGateway("counter_hangs_stopping")
        let client = try gateway.connect()
        try gateway.reload("counter_v2").expectDone()
        for version in [1, 2, 1, 2] { try gateway.reload("counter_v\(version)").expectDone() }
        #expect(try client.say("a") == "2 1 a")
        #expect(try eventually { try !gateway.status().contains("retiring") })
    }
}
