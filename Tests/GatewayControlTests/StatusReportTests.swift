import GatewayControl
import Testing

@Suite("gateway status")
struct StatusReportTests {
    private static let now: Int64 = 1_767_225_600

    private var report: StatusReport {
        var process = StatusReport.Process(
            pid: 4711, version: "1.0.0", startedAt: Self.now - 11_520, now: Self.now, uptimeMilliseconds: 11_520_000,
            workers: 2, connections: 123, maxConnections: 100_000, configuration: "/etc/gw/gateway.conf")
        process.workerConnections = [62, 61]
        process.memory = .init(held: 5, most: 4, refused: 3, shed: 1)
        process.configurationReload = .init(at: Self.now - 300, isAccepted: true, outcome: "1 route added")
        process.upgrade = "1 stays"
        var report = StatusReport(process: process)
        report.listeners = ["[::]:8080", "unix:/run/g.sock"]
        report.inheritedListeners = ["[::]:8080"]
        report.reasons = ["handler-unavailable: route /rooms/:room", "copy-serves: handler \"x\""]
        report.refusals = [.init(word: "no-route", count: 7), .init(word: "too-many-handshakes", count: 1)]
        report.certificates = [
            .init(
                name: "a.example", file: "/etc/gw/a.pem", listeners: ["[::]:8443"], expiresAt: Self.now + 30 * 86_400),
            .init(name: "b.example", file: "/etc/gw/b.pem", listeners: [], expiresAt: Self.now - 86_400),
        ]
        report.routes = [
            .init(
                pattern: "/echo", handler: "echo", unavailable: nil, connections: 3, reload: "auto",
                compression: compression),
            .init(
                pattern: "/rooms/:room", handler: "chat", unavailable: "its module\ncannot \u{1B}[2Jbe loaded",
                connections: 120, reload: "drain"),
        ]
        report.routes[0].costs.writeTimeouts = 2
        (report.routes[0].costs.closed, report.routes[0].costs.droppedNew) = (1, 3)
        report.routes[0].costs.pausedReads = 4
        report.handlers = handlers
        return report
    }

    private var compression: StatusReport.Compression {
        var compression = StatusReport.Compression()
        compression.received = .init(plainBytes: 10_239, compressedBytes: 2_560, nanoseconds: 1_234_567)
        compression.sent = .init(plainBytes: 20 << 20, compressedBytes: 7 << 20, nanoseconds: 61_000_000_000)
        return compression
    }

    private var handlers: [StatusReport.Handler] {
        var chat = StatusReport.Handler(name: "chat", file: "/p/chat.so")
        chat.generations = [
            .init(
                number: 12, state: .live, sinceMilliseconds: 60_000, digest: 0xAB, file: "/run/chat.12.so",
                builtAt: Self.now - 90, version: "1.2", language: "GatewayHandler 1.0 (Swift)", connections: 119,
                flags: ["stateless"]),
            .init(
                number: 9, state: .pinned, why: "contains Swift", sinceMilliseconds: 5000, digest: .max,
                file: "/run/chat.9.so", language: "C ABI", connections: 1, errors: 4, stalls: 2),
        ]
        chat.lastReload = .init(
            at: Self.now - 60, cause: "the file changed", isAccepted: true, outcome: "generation 12 is live",
            milliseconds: 12, moved: 119, refused: 1, draining: 1)
        var gone = StatusReport.Handler(name: "gone", file: nil)
        gone.trouble = "there is no module of this name"
        return [chat, gone]
    }

    @Test func `text is aligned and clean`() {
        #expect(
            report.text(colour: false) == """
                ● gateway 1.0.0: degraded, 1 of 2 routes unavailable, 123 connections, up 3h 12m
                    process  pid 4711, 2 workers with 62 + 61 connections, started 2025-12-31 20:48:00 UTC
                  listening  [::]:8080 (handed over)  unix:/run/g.sock
                    upgrade  1 stays
                     reason  handler-unavailable: route /rooms/:room
                             copy-serves: handler "x"
                certificate  a.example until 2026-01-31 00:00:00 UTC, in 30 days  /etc/gw/a.pem
                             b.example until 2025-12-31 00:00:00 UTC, expired 1 day ago  /etc/gw/b.pem
                      limit  100000 connections
                     memory  5 of 4 bytes; 3 requests refused, 1 connection shed
                    refused  7 no-route, 1 too-many-handshakes
                       file  /etc/gw/gateway.conf
                             read again 2025-12-31 23:55:00 UTC, 5m 0s ago
                             1 route added

                ROUTE         HANDLER  STATE        CONNECTIONS  RELOAD
                /echo         echo     serving                3  auto
                    slow peers: 1 closed, 3 new messages dropped, 4 pauses of reading, 2 cut off by write_timeout
                    compressed: in 10239 B to 25 % in 0.0s; out 20 MiB to 35 % in 1m 1s
                /rooms/:room  chat     unavailable          120  drain
                    its module cannot \\u{1b}[2Jbe loaded

                HANDLER chat  /p/chat.so
                  GENERATION  STATE   FOR    CONNECTIONS  ERRORS  STALLS  BUILT                    DIGEST            \
                VERSION  LANGUAGE
                          12  live    1m 0s          119       0       0  2025-12-31 23:58:30 UTC  00000000000000ab  \
                1.2      GatewayHandler 1.0 (Swift)
                           9  pinned  5.0s             1       4       2  -                        ffffffffffffffff  \
                -        C ABI
                      contains Swift
                  last reload  2025-12-31 23:59:00 UTC, 1m 0s ago: the file changed
                               generation 12 is live
                               119 moved, 1 refused, 0 closed, 1 draining, 12 ms

                HANDLER gone  nothing is loaded
                  there is no module of this name

                """)
    }

    @Test func `colours change nothing but colours`() {
        let plain = report.text(colour: false)
        let coloured = report.text(colour: true)
        #expect(coloured != plain)
        #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == plain)
        #expect(!plain.unicodeScalars.contains("\u{1B}"))
    }

    @Test func `json says everything that text says`() {
        #expect(
            report.json() == #"""
                {"format":1,"process":{"pid":4711,"version":"1.0.0","state":"degraded","started_at":"2025-12-31T20:48:00Z",\#
                "reported_at":"2026-01-01T00:00:00Z","uptime_ms":11520000,"workers":2,"worker_connections":[62,61],\#
                "connections":123,"max_connections":100000,"write_timeouts":0,\#
                "slow_consumer":{"close":0,"drop_new":0,"drop_old":0,"pause_reads":0},\#
                "loop_lag":null,"usage":null,\#
                "memory":{"held":5,"max":4,"refused":3,"shed":1},"upgrade":"1 stays","configuration":"/etc/gw/gateway.conf","configuration_reload":\#
                {"at":"2025-12-31T23:55:00Z","accepted":true,"outcome":"1 route added"}},\#
                "reasons":["handler-unavailable: route /rooms/:room","copy-serves: handler \"x\""],\#
                "refusals":{"no-route":7,"too-many-handshakes":1},\#
                "listeners":["[::]:8080","unix:/run/g.sock"],"inherited_listeners":["[::]:8080"],"certificates":[\#
                {"certificate":"a.example","file":"/etc/gw/a.pem","listeners":["[::]:8443"],\#
                "expires_at":"2026-01-31T00:00:00Z","expiry_seconds":1769817600},\#
                {"certificate":"b.example","file":"/etc/gw/b.pem","listeners":[],\#
                "expires_at":"2025-12-31T00:00:00Z","expiry_seconds":1767139200}],"cluster":null,"routes":[\#
                {"route":"/echo","host":null,"handler":"echo","state":"serving","reason":null,"connections":3,"reload":"auto",\#
                "write_timeouts":2,"slow_consumer":{"close":1,"drop_new":3,"drop_old":0,"pause_reads":4},\#
                "traffic":{"opened":0,"closed":0,"messages_in":0,"messages_out":0,"bytes_in":0,"bytes_out":0,"callbacks":null},\#
                "compression":{"in":{"plain_bytes":10239,"compressed_bytes":2560,"ratio":0.25002441644691864,"time_us":1234},\#
                "out":{"plain_bytes":20971520,"compressed_bytes":7340032,"ratio":0.35,"time_us":61000000}}},\#
                {"route":"/rooms/:room","host":null,"handler":"chat","state":"unavailable",\#
                "reason":"its module\ncannot \u001b[2Jbe loaded","connections":120,"reload":"drain","write_timeouts":0,\#
                "slow_consumer":{"close":0,"drop_new":0,"drop_old":0,"pause_reads":0},\#
                "traffic":{"opened":0,"closed":0,"messages_in":0,"messages_out":0,"bytes_in":0,"bytes_out":0,"callbacks":null},\#
                "compression":null}],"handlers":[\#
                {"handler":"chat","file":"/p/chat.so","trouble":null,"note":null,"state":"idle","older_builds":0,"generations":[\#
                {"generation":12,"state":"live","why":null,"since_ms":60000,"digest":"00000000000000ab",\#
                "file":"/run/chat.12.so","built_at":"2025-12-31T23:58:30Z","version":"1.2",\#
                "language":"GatewayHandler 1.0 (Swift)","connections":119,"errors":0,"stalls":0,"flags":["stateless"]},\#
                {"generation":9,"state":"pinned","why":"contains Swift","since_ms":5000,"digest":"ffffffffffffffff",\#
                "file":"/run/chat.9.so","built_at":null,"version":"","language":"C ABI","connections":1,"errors":4,"stalls":2,\#
                "flags":[]}],"last_reload":{"at":"2025-12-31T23:59:00Z","cause":"the file changed","accepted":true,\#
                "outcome":"generation 12 is live","duration_ms":12,"moved":119,"refused":1,"closed":0,"draining":1,"moving_ms":null}},\#
                {"handler":"gone","file":null,"trouble":"there is no module of this name","note":null,"state":"idle","older_builds":0,"generations":[],"last_reload":null}],"metrics":[]}
                """#)
    }

    @Test func `traffic and what the process uses are in the json`() {
        var report = StatusReport(process: report.process)
        report.process.usage = .init(cpuMilliseconds: 7, residentBytes: 8)
        report.process.loopLag = .init(bounds: [0.5], counts: [1, 2])
        var route = StatusReport.Route(
            pattern: "/a", handler: "a", unavailable: nil, connections: 0, reload: "auto")
        (route.traffic.opened, route.traffic.closed) = (1, 2)
        (route.traffic.received.messages, route.traffic.received.bytes) = (3, 4)
        (route.traffic.sent.messages, route.traffic.sent.bytes) = (5, 6)
        route.traffic.callbacks = .init(bounds: [1e-06, 2], counts: [7, 8, 9])
        report.routes = [route]
        let json = report.json()
        #expect(
            json.contains(
                #""loop_lag":{"bounds_seconds":[0.5],"counts":[1,2]},"usage":{"cpu_ms":7,"resident_bytes":8}"#))
        #expect(
            json.contains(
                #"""
                "traffic":{"opened":1,"closed":2,"messages_in":3,"messages_out":5,"bytes_in":4,"bytes_out":6,\#
                "callbacks":{"bounds_seconds":[1e-06,2.0],"counts":[7,8,9]}}
                """#))
    }

    @Test(arguments: [("idle", false), ("gone", false), ("pinned", false), ("probing", true), ("retiring", true)])
    func `a reload is named while it is under way`(state: String, isNamed: Bool) {
        var report = StatusReport(process: report.process)
        var handler = StatusReport.Handler(name: "a", file: "/p/a.so")
        handler.state = state
        report.handlers = [handler]
        #expect(report.text(colour: false).contains("reload: \(state)") == isNamed)
    }

    @Test func `the engines of a cluster`() {
        var report = StatusReport(process: report.process)
        func engine(_ isUp: Bool, _ queued: Int) -> StatusReport.Cluster.Engine {
            .init(
                url: "redis://a", isUp: isUp, forMilliseconds: 125_000, text: "Redis 7 at a", topics: 1,
                queuedBytes: queued, connects: 2, probeMicroseconds: 300)
        }
        report.cluster = StatusReport.Cluster(
            name: "gw", prefix: "shop", sent: 1, received: 2, lost: 3, gaps: 4, rejected: 5, lagMicroseconds: 6,
            engines: [engine(true, 0), engine(false, 7)])
        let text = report.text(colour: false)
        #expect(text.contains("cluster  Redis 7 at a, up for 2 min, 1 topic\n"))
        #expect(text.contains("redis://a away for 2 min: Redis 7 at a, 7 bytes wait\n"))
        #expect(text.contains("gw, prefix shop: 1 sent, 2 received, 3 lost, 5 rejected\n"))
        #expect(
            report.json().contains(
                #""rejected":5,"lag_us":6,"engines":[{"url":"redis://a","up":true,"for_ms":125000,"text":"Redis 7 at a","#
            ))
    }

    @Test func `metrics are in the json`() {
        var report = StatusReport(process: report.process)
        report.metrics = [
            .init(name: "handler_chat_rooms", kind: "gauge", help: "Rooms.", route: "/chat", value: 2.5),
            .init(
                name: "handler_chat_seconds", kind: "histogram", route: "/chat", value: .infinity,
                buckets: [.init(bound: 1e-06, count: 0), .init(bound: 4, count: 3)], count: 4),
        ]
        #expect(
            report.json().hasSuffix(
                #"""
                "metrics":[\#
                {"metric":"handler_chat_rooms","kind":"gauge","help":"Rooms.","route":"/chat","value":2.5},\#
                {"metric":"handler_chat_seconds","kind":"histogram","help":"","route":"/chat","sum":null,"count":4,\#
                "buckets":[{"le":1e-06,"count":0},{"le":4.0,"count":3}]}]}
                """#.replacing("\n", with: "")))
    }

    @Test(
        arguments: [
            (0, []), (1, ["serial"]), (16, ["stateless"]),
            (63, ["serial", "unload", "no_utf8", "manual_pong", "stateless", "keep_request"]),
            (0x8000_0002, ["unload", "0x80000000"]),
        ] as [(UInt32, [String])])
    func `flags have the names of the header`(_ flags: UInt32, _ names: [String]) {
        #expect(StatusReport.Generation.names(ofFlags: flags) == names)
    }
}
