import GatewayConfiguration
import Testing

@Suite("gateway.conf: every directive")
struct DirectiveTests {
    @Test(arguments: acceptedDirectives)
    func `takes effect`(_ acceptance: Acceptance) {
        let reading = Reading(complete(acceptance.text))
        #expect(reading.findings == [])
        #expect(reading.configuration.map(acceptance.holds) == true)
    }

    @Test(arguments: [
        "admin off;", "plugins ./P { watch on; settle 200ms; retain 8; }", "plugins P { }", "defaults { }",
        "defaults { max_connections_per_ip off; slow_consumer close; origin same-host; compression off; dispatch loop; }",
        "defaults { reload auto; drain_timeout 60s; probation off; }",
        "route /x { handler h; origin same-host; compression off; dispatch loop; reload auto; }",
        "defaults { isolation none; checkpoint off; crash close; recycle off; }",
        "route /x { handler h; isolation none; checkpoint off; crash close; recycle off; }",
    ])
    func `a value that says what happens anyway is accepted and changes nothing`(_ text: String) {
        guard var configuration = Reading(complete(text)).configuration, var plain = Reading(complete("")).configuration
        else {
            Issue.record("refused")
            return
        }
        // Where things stand is another matter than what they say.
        configuration.routes.removeAll { $0.pattern.description == "/x" }
        for index in configuration.routes.indices { configuration.routes[index].origin.line = 2 }
        configuration.limitOrigins = [:]
        configuration.origins = plain.origins
        configuration.pluginsOrigins = [:]
        plain.pluginsFolder = configuration.pluginsFolder
        #expect(configuration == plain)
    }

    @Test func `a level that is none is told which there are`() {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(complete("error_log stderr notice;"), file: "gateway.conf")
        }
        #expect(error?.rendered().contains("The levels are: trace, debug, info, warn, error.") == true)
    }

    @Test(arguments: refusedDirectives)
    func `refuses with the place and what is legal`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let acceptedDirectives: [Acceptance] = [
    Acceptance("defaults { compression on; }") { $0.limits.compression.mode == .on },
    Acceptance("defaults { compression no-context-takeover { level 6; threshold 1k; window 9; memory 0; } }") {
        var wanted = Limits.Compression()
        (wanted.mode, wanted.level, wanted.thresholdBytes) = (.withoutContext, 6, 1024)
        (wanted.windowBits, wanted.memoryBytes) = (9, 0)
        return $0.limits.compression == wanted
    },
    Acceptance("user gateway;") { $0.user == "gateway" },
    Acceptance("listen unix:/g { mode 0660; group \"www data\"; }") {
        $0.listeners[0].socketMode == 0o660 && $0.listeners[0].socketGroup == "www data"
    },
    Acceptance("listen unix:/g { mode 777; }") { $0.listeners[0].socketMode == 0o777 },
    Acceptance("listen unix:/g;") { $0.listeners[0].socketMode == nil && $0.listeners[0].socketGroup == nil },
    Acceptance("threads auto;") { $0.threads == .automatic },
    Acceptance("threads 1;") { $0.threads == .count(1) },
    Acceptance("threads 256;") { $0.threads == .count(256) },
    Acceptance("max_memory off;") { $0.maxMemoryBytes == nil },
    Acceptance("max_memory 1m;") { $0.maxMemoryBytes == 1 << 20 },
    Acceptance("max_memory 1024g;") { $0.maxMemoryBytes == 1 << 40 },
    Acceptance("busy_poll off;") { $0.busyPollMicroseconds == nil },
    Acceptance("busy_poll 1us;") { $0.busyPollMicroseconds == 1 },
    Acceptance("busy_poll 45us;") { $0.busyPollMicroseconds == 45 },
    Acceptance("busy_poll 2ms;") { $0.busyPollMicroseconds == 2000 },
    Acceptance("busy_poll 1s;") { $0.busyPollMicroseconds == 1_000_000 },
    Acceptance("plugins /opt/h;") { $0.pluginsFolder == "/opt/h" },
    Acceptance("plugins /opt/h/;") { $0.pluginsFolder == "/opt/h" },
    Acceptance("state_dir /var/lib/gateway/;") { $0.stateFolder == "/var/lib/gateway" },
    Acceptance("state_dir state;") { $0.stateFolder?.hasSuffix("/state") == true },
    Acceptance("plugins P { watch off; }") { !$0.pluginsWatch },
    Acceptance("plugins P { settle 1ms; }") { $0.settleMilliseconds == 1 },
    Acceptance("plugins P { settle 5s; }") { $0.settleMilliseconds == 5000 },
    Acceptance("plugins P { retain 1; }") { $0.retain == 1 },
    Acceptance("control off;") { $0.controlPath == nil && $0.controlOrigin?.line == 1 },
    Acceptance("control unix:/run/g.sock;") { $0.controlPath == "/run/g.sock" },
    Acceptance("mode production;") { $0.mode == .production && $0.consolePath == nil },
    Acceptance("mode development;") { $0.mode == .development && $0.consolePath == "/" },
    Acceptance("console /c; mode production;") { $0.consolePath == "/c" },
    Acceptance("console off; mode development;") { $0.consolePath == nil },
    Acceptance("access_log off;") { $0.accessLog == nil },
    Acceptance("access_log stderr text;") { $0.accessLog?.text == "stderr text" },
    Acceptance("access_log stderr;") { $0.accessLog?.text == "stderr text" },
    Acceptance("access_log stderr json;") { $0.accessLog?.text == "stderr json" },
    Acceptance("access_log /var/log/access.log;") { $0.accessLog?.text == "/var/log/access.log text" },
    Acceptance("access_log /var/log/access.log json;") { $0.accessLog?.destination == .file("/var/log/access.log") },
    Acceptance("error_log off;") { $0.errorLog == nil },
    Acceptance("error_log stderr;") { $0.errorLog?.text == "stderr info text" },
    Acceptance("error_log stderr json;") { $0.errorLog?.text == "stderr info json" },
    Acceptance("error_log /var/log/e warn json;") { $0.errorLog?.text == "/var/log/e warn json" },
    Acceptance("error_log /var/log/e json warn;") { $0.errorLog?.text == "/var/log/e warn json" },
    Acceptance("error_log ./json;") { $0.errorLog?.text.hasSuffix("/json info text") == true },
    Acceptance("error_log stderr trace;") { $0.errorLog?.text == "stderr trace text" },
    Acceptance("error_log stderr debug;") { $0.errorLog?.text == "stderr debug text" },
    Acceptance("error_log stderr info;") { $0.errorLog?.text == "stderr info text" },
    Acceptance("error_log stderr warn;") { $0.errorLog?.text == "stderr warn text" },
    Acceptance("error_log stderr error;") { $0.errorLog?.text == "stderr error text" },
    Acceptance("defaults { max_message 1; }") { $0.limits.maxMessageBytes == 1 },
    Acceptance("defaults { max_message 1g; }") { $0.limits.maxMessageBytes == 1 << 30 },
    Acceptance("defaults { max_frame 1; }") { $0.limits.maxFrameBytes == 1 },
    Acceptance("defaults { max_body 0; }") { $0.limits.maxBodyBytes == 0 },
    Acceptance("defaults { max_body 1g; }") { $0.limits.maxBodyBytes == 1 << 30 },
    Acceptance("defaults { send_buffer 1k; }") { $0.limits.sendBufferBytes == 1024 },
    Acceptance("defaults { max_connections 1; }") { $0.maxConnections == 1 },
    Acceptance("defaults { max_connections 10000000; }") { $0.maxConnections == 10_000_000 },
    Acceptance("defaults { max_head 256; }") { $0.handshake.maxHeadBytes == 256 },
    Acceptance("defaults { max_head 1m; }") { $0.handshake.maxHeadBytes == 1 << 20 },
    Acceptance("defaults { max_headers 1; }") { $0.handshake.maxHeaders == 1 },
    Acceptance("defaults { max_headers 10000; }") { $0.handshake.maxHeaders == 10_000 },
    Acceptance("defaults { handshake_timeout 1ms; }") { $0.handshake.timeoutMilliseconds == 1 },
    Acceptance("defaults { handshake_timeout 1h; }") { $0.handshake.timeoutMilliseconds == 3_600_000 },
    Acceptance("defaults { reply_timeout 3s; }") { $0.limits.replyTimeoutMilliseconds == 3000 },
    Acceptance("defaults { start_timeout 3s; }") { $0.limits.startTimeoutMilliseconds == 3000 },
    Acceptance("defaults { slow_consumer drop_new; }") { $0.limits.slowConsumer == .dropNew },
    Acceptance("defaults { slow_consumer drop_old; }") { $0.limits.slowConsumer == .dropOld },
    Acceptance("defaults { slow_consumer pause_reads; }") { $0.limits.slowConsumer == .pauseReads },
    Acceptance("defaults { callback_stall 1ms; }") { $0.limits.callbackStallMilliseconds == 1 },
    Acceptance("route /x { handler h; log_level warning; }") { $0.routes[0].limits.logLevel == .warn },
    Acceptance("defaults { log_level debug; } route /x { handler h; } route /y { handler h; log_level warn; }") {
        $0.limits.logLevel == .debug && $0.routes.prefix(2).map(\.limits.logLevel) == [.debug, .warn]
    },
    Acceptance("route /x { handler h; } error_log stderr warning;") {
        $0.routes[0].limits.logLevel == nil && $0.errorLog?.level == .warn
    },
    Acceptance("defaults { callback_stall off; }") { $0.limits.callbackStallMilliseconds == nil },
    Acceptance("defaults { write_timeout 2s; }") { $0.limits.writeTimeoutMilliseconds == 2000 },
    Acceptance("route /x { handler h; write_timeout off; }") {
        $0.routes.first { $0.pattern.description == "/x" }?.limits.writeTimeoutMilliseconds == .some(nil)
    },
    Acceptance("defaults { close_timeout 3s; }") { $0.limits.closeTimeoutMilliseconds == 3000 },
    Acceptance("defaults { ping_interval 1d; }") { $0.limits.pingIntervalMilliseconds == 86_400_000 },
    Acceptance("defaults { ping_interval off; }") { $0.limits.pingIntervalMilliseconds == nil },
    Acceptance("defaults { pong_timeout 1s; }") { $0.limits.pongTimeoutMilliseconds == 1000 },
    Acceptance("defaults { pong_timeout off; }") { $0.limits.pongTimeoutMilliseconds == nil },
    Acceptance("defaults { idle_timeout 1s; }") { $0.limits.idleTimeoutMilliseconds == 1000 },
    Acceptance("defaults { idle_timeout off; }") { $0.limits.idleTimeoutMilliseconds == nil },
    Acceptance("defaults { reload auto; }") { $0.limits.reload == .automatic },
    Acceptance("defaults { reload migrate; }") { $0.limits.reload == .migrate },
    Acceptance("defaults { reload drain; }") { $0.limits.reload == .drain },
    Acceptance("defaults { reload close; }") { $0.limits.reload == .close },
    Acceptance("defaults { reload off; }") { $0.limits.reload == .off },
    Acceptance("defaults { reload drain; } route /x { handler h; reload close; }") {
        $0.routes.map(\.limits.reload).sorted { $0.rawValue < $1.rawValue } == [.close, .drain]
    },
    Acceptance("defaults { dispatch pool; } route /x { handler h; } route /y { handler h; dispatch loop; }") {
        $0.routes.map(\.limits.dispatch) == [.pool, .loop, .pool]
    },
    Acceptance("defaults { drain_timeout 1d; }") { $0.limits.drainTimeoutMilliseconds == 86_400_000 },
    Acceptance("defaults { probation off; }") { $0.limits.probation == nil },
    Acceptance("defaults { probation 30s; }") { $0.limits.probation == .init(milliseconds: 30_000, errors: 10) },
    Acceptance("defaults { probation 30s 0; }") { $0.limits.probation == .init(milliseconds: 30_000, errors: 0) },
    Acceptance("defaults { probation 1m; } route /x { handler h; probation off; }") {
        $0.routes.contains { $0.limits.probation == nil }
    },
]
