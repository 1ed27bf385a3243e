import CGatewayABI
import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("A bad module harms nobody but a probe process, and the error says where it went wrong")
struct ModuleProbeTests {
    /// What becomes a probe process.
    private static let executable = "\(builtModules)/gateway"
    private static let route = RouteSettings(route: "/feed", origin: "gateway.conf:7")
    private static let constructor = "in a library constructor, before gw_handler_entry_v1"

    private func judge(
        _ handler: String, routes: [RouteSettings] = [route], timeout: Duration = .seconds(60), memory: Int = 1 << 30,
        executable: String = executable
    ) throws -> ModuleError? {
        let workshop = try Workshop()
        let candidate = try workshop.loader.prepare(workshop.module(handler))
        do {
            try ModuleProbe.judge(
                candidate, routes: routes, timeout: timeout, memory: memory, executable: executable)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: ["echo", "chat", "fixture_works"])
    func `passes a module that behaves`(_ handler: String) throws {
        let other = RouteSettings(route: "/rooms/:room", origin: "gateway.conf:8")
        #expect(try judge(handler, routes: [Self.route, other]) == nil)
        #expect(try judge(handler, routes: []) == nil, "also where no route is known")
    }

    @Test func `passes a module for any number of routes`() throws {
        let routes = (0..<600).map { number in
            RouteSettings(route: "/\(String(repeating: "r", count: 200))\(number)", origin: "gateway.conf:\(number)")
        }
        #expect(try judge("echo", routes: routes) == nil)
    }

    static let mistakes: [(handler: String, reason: String)] = [
        ("crash_constructor", "crashed while loading (SIGABRT \(constructor))"),
        ("crash_entry", "crashed while loading (SIGSEGV in gw_handler_entry_v1)"),
        ("crash_start", "crashed while starting (SIGSEGV in start of route /feed)"),
        ("abort_stop", "crashed while stopping (SIGABRT in stop of route /feed)"),
        ("exit_in_constructor", "ended the process while loading (exit status 0 \(constructor))"),
        ("exit_in_start", "ended the process while starting (exit status 3 in start of route /feed)"),
        (
            "unresolved",
            "its module cannot be loaded: undefined symbol: function_of_a_library_nobody_linked"
        ),
        ("silent_null", "its entry declined: it gave no reason"),
        ("newer_major", "its module cannot be used: it needs ABI major 2, this gateway speaks 1"),
        ("no_start", "its module cannot be used: its table has no start"),
        ("refuses_start", "refused to start: \"the setting \"room\" is missing\" (GW_E_INVALID)"),
    ]

    // What ends a process in the middle of something ends with a report of the thread sanitizer, and its status.
    @Test(arguments: mistakes.filter { !Sanitizer.isThread || $0.handler != "exit_in_constructor" })
    func `says what is wrong`(_ mistake: (handler: String, reason: String)) throws {
        let error = try judge("fixture_\(mistake.handler)")
        #expect(error?.reason == mistake.reason)
        #expect(error?.stage == .probing)
    }

    @Test(arguments: [
        ("hang_constructor", "loading", "2.0 seconds \(constructor)"),
        ("hang_start", "starting", "2.0 seconds in start of route /feed"),
    ])
    func `does not wait for ever`(_ handler: String, _ doing: String, _ place: String) throws {
        let error = try judge("fixture_\(handler)", timeout: .seconds(2))
        #expect(error?.reason == "hung while \(doing) (still busy after \(place))")
        #expect(error?.aside == "The hang happened in a probe process; live traffic was not affected.")
    }

    /// A sanitizer ends the process itself when there is no memory, with a report instead of a signal.
    private static let isSanitized = Sanitizer.isAddress || Sanitizer.isThread

    @Test(.enabled(if: !isSanitized))
    func `bounds the memory, and says that it was that`() throws {
        let error = try judge("fixture_memory_hog", memory: 64 << 20)
        #expect(
            error?.reason.hasPrefix("ran out of memory while starting (SIGABRT in start of route /feed, with ") == true)
        #expect(error?.reason.hasSuffix(" MiB in use of the 64 MiB that a probe may have)") == true)
    }

    /// The kernel counts for a new process what the one that started it has.
    @Test func `what this process has in use is not taken for the module's`() throws {
        let mine = [UInt8](repeating: 1, count: 200 << 20)
        let error = try judge("fixture_crash_entry", memory: 64 << 20)
        #expect(error?.reason == "crashed while loading (SIGSEGV in gw_handler_entry_v1)")
        #expect(mine.last == 1)
    }

    @Test func `shows what the module wrote last`() throws {
        let error = try judge("fixture_crash_start")
        #expect(
            error?.serving(2).description == """
                handler "fixture_crash_start": crashed while starting (SIGSEGV in start of route /feed).
                   File: \(Fixture.folder)/libfixture_crash_start.so
                   | connecting to the database
                   |  [1mno password
                   To do: find the fault with a debugger, and put the corrected file there.
                   The crash happened in a probe process; live traffic was not affected. Still serving: generation 2.
                """)
    }

    @Test func `gives the route its settings, marked as a probe's`() throws {
        let room = RouteSettings(
            route: "/feed", origin: "gateway.conf:7", settings: [RouteSettings.Setting(key: "room", value: "ü 5")])
        let error = try judge("fixture_refuses_start", routes: [room])
        #expect(error?.reason == "refused to start: its start answered GW_E_INVALID and gave no reason")
        #expect(error?.place == "Route: /feed (gateway.conf:7). File: \(Fixture.folder)/libfixture_refuses_start.so")
    }

    @Test func `says when no probe process can be had`() throws {
        let error = try judge("echo", executable: "/nowhere/gateway")
        #expect(error?.reason == "its module could not be tried first (posix_spawn: No such file or directory)")
        let wrong = try judge("echo", executable: "/bin/false")
        #expect(wrong?.reason == "ended the process while being set up (exit status 1 in the probe process itself)")
    }

    @Test func `leaves neither children nor descriptors behind`() throws {
        _ = try judge("fixture_works")
        let before = names(in: "/proc/self/fd").count
        for handler in ["fixture_works", "fixture_crash_start", "fixture_exit_in_start"] { _ = try judge(handler) }
        // Other tests run beside this one and open files of their own: a leak would grow with the repetitions.
        #expect(names(in: "/proc/self/fd").count < before + 100)
    }
}
