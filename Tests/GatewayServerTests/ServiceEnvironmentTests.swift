import Testing

@testable import GatewayServer

@Suite("ServiceEnvironment: what a service manager says, as far as it is said to us")
struct ServiceEnvironmentTests {
    private func read(_ variables: [String: String]) -> ServiceEnvironment {
        ServiceEnvironment(variables, process: 42)
    }

    @Test("nothing said is nothing asked")
    func nothing() {
        #expect(read([:]) == ServiceEnvironment())
        #expect(read(["NOTIFY_SOCKET": "", "WATCHDOG_USEC": "", "LISTEN_FDS": ""]) == ServiceEnvironment())
    }

    @Test(
        "a watchdog is fed where it is for this process, or for whoever reads of it",
        arguments: [
            (["WATCHDOG_USEC": "3000000"], 3_000_000), (["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "42"], 3_000_000),
            (["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "43"], nil),
            (["WATCHDOG_USEC": "3000000", "WATCHDOG_PID": ""], nil), (["WATCHDOG_USEC": "0"], nil),
            (["WATCHDOG_USEC": "-1"], nil), (["WATCHDOG_USEC": "3s"], nil), (["WATCHDOG_PID": "42"], nil),
        ] as [([String: String], UInt64?)])
    func watchdog(variables: [String: String], expected: UInt64?) {
        #expect(read(variables).watchdogMicroseconds == expected)
    }

    @Test("descriptors begin with 3, and have names where the manager gives them some")
    func descriptors() {
        let found = read(["LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "http::"]).descriptors
        #expect(found.map(\.number) == [3, 4, 5])
        #expect(found.map(\.name) == ["http", "unknown", "unknown"])
    }

    @Test(
        "those of another process are not ours, nor is a number that is none",
        arguments: [
            ["LISTEN_FDS": "2"], ["LISTEN_FDS": "2", "LISTEN_PID": "43"], ["LISTEN_FDS": "-2", "LISTEN_PID": "42"],
            ["LISTEN_FDS": "two", "LISTEN_PID": "42"], ["LISTEN_PID": "42"],
        ])
    func foreign(variables: [String: String]) { #expect(read(variables).descriptors.isEmpty) }

    @Test("the first folder of several is ours, a relative one nobody's")
    func folders() {
        let found = read(["STATE_DIRECTORY": "/var/lib/gateway:/var/lib/other", "RUNTIME_DIRECTORY": "gateway"])
        #expect(found.stateFolder == "/var/lib/gateway" && found.runtimeFolder == nil)
    }
}
