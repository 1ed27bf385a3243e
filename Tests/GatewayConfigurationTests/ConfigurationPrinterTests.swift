import GatewayConfiguration
import Testing

@Suite("gateway -T: the effective configuration")
struct ConfigurationPrinterTests {
    @Test(arguments: [
        "listen 1;",
        "listen 1; mode development;",
        "listen 1; busy_poll 3ms;", "listen 1; state_dir '/var/lib/my g';",
        "listen 1; busy_poll 3500us; max_memory 64m;",
        "listen 1; mode development; console off; error_log off; control off;",
        "listen 1; control 'unix:/run/my g.sock'; plugins P { watch off; settle 1s; retain 2; }",
        "listen 1; listen 2 tls { certificate a.pem; certificate 'b c.pem' /k.pem; protocols 1.3; } listen 3 tls { certificate a; }",
        "listen 1 tls { certificate a; ciphers 'A:B'; client_ca 'c d.pem' optional; handshake_limit 7; }",
        """
        trusted_proxies 10.0.0.0/8 unix: { header forwarded; } user "www data"; listen unix:/g { mode 0660; group www-data; }
        listen 1 { proxy_protocol on; } listen unix:/h tls { certificate /a; proxy_protocol on; mode 600; }
        listen 8080; listen [::1]:9; listen 127.0.0.1:0; listen "unix:/run/my g.sock"; listen fd:3;
        threads 3; busy_poll 45us; plugins "/opt/my handlers"; mode development; console /c; access_log off; error_log stderr debug;
        defaults {
            max_message 3000; max_frame 1k; max_body 0; max_connections 7; max_connections_per_ip 9; handshake_rate 20/s burst 50; handshake_timeout 1500ms; max_head 1m;
            max_headers 3; ping_interval off; reload drain; drain_timeout 90s; probation 5s 3;
            idle_timeout 90s; close_timeout 1h; send_buffer 1g; start_timeout 1s; reply_timeout 61s;
        }
        route "/a;b" { handler x; }
        route /rooms/:room/* {
            handler chat; subprotocols b a; set "k;1" "v \\" \\n \\t \\\\ é"; set empty ''; max_connections 9; max_connections_per_ip 2; handshake_rate 7/m;
            deny 10.0.0.66 2001:db8::/32; allow 10.0.0.0/8 unix:; deny all; ping_interval 1s; pong_timeout off; max_message 5m; max_frame 4k;
            compression on { level 6; threshold 1k; window 9; memory 0; }
        }
        host api.example.com { route /ws { handler api; set k v; } route "/a;b" { handler x; } }
        route /é { handler h; origin same-host https://*.a.example:8443 required; compression no-context-takeover; pong_timeout 7s; idle_timeout off; ping_interval 1d; }
        host *.example.com { route /ws { handler other; deny ::1; } }
        """,
        """
        listen 1; defaults { checkpoint 1s; crash resume; recycle 30m 90m; }
        route /a { handler a; isolation process; } route /b { handler b; }
        route /c { handler c; isolation process; checkpoint message; crash close; recycle 512M; }
        route /d { handler d; isolation process; checkpoint off; recycle 1800s; }
        route /e { handler e; isolation process; checkpoint 1500ms; recycle off; }
        """,
    ])
    func `reads back to the same values`(_ text: String) throws {
        let first = try Configuration.parse(text, file: "/etc/gateway/gateway.conf").configuration
        let printed = first.effectiveText()
        let again = try Configuration.parse(printed, file: "/elsewhere/gateway.conf")
        #expect(again.configuration.withoutOrigins == first.withoutOrigins)
        #expect(again.warnings.allSatisfy { $0.line == nil })
        // Nothing is lost or gained a second time either, but for the comments that say where things stood.
        let uncommented = { (text: String) in
            text.split(separator: "\n").filter { !$0.hasPrefix("#") }
                .map { $0.replacing(/[ ]+# .*$/, with: "") }
        }
        #expect(uncommented(again.configuration.effectiveText()) == uncommented(printed))
    }

    @Test func `what the file sets is no default, whatever its value`() throws {
        let text = """
            listen 1; threads auto; mode production; access_log stderr text; admin off; plugins P { settle 200ms; }
            defaults { max_message 1m; origin any; drain_timeout 60s; max_connections 7; }
            route /echo { handler echo; max_body 64k; drain_timeout 60s; }
            """
        let printed = try Configuration.parse(text, file: "/g/gateway.conf").configuration.effectiveText()
        func notes(_ name: String) -> [String] {
            printed.split(separator: "\n").filter { $0.split(separator: " ").first == name[...] }.map {
                $0.contains("#") ? String($0.split(separator: "#").last!.dropFirst()) : "nothing"
            }
        }
        let lines = (0...4).map { "/g/gateway.conf:\($0)" }
        for name in ["threads", "mode", "access_log", "admin", "settle"] { #expect(notes(name) == [lines[1]]) }
        for name in ["busy_poll", "error_log", "watch", "retain"] { #expect(notes(name) == ["default"]) }
        for name in ["max_message", "origin"] { #expect(notes(name) == [lines[2], lines[2] + ", defaults"]) }
        #expect(notes("max_body") == ["default", lines[3]] && notes("drain_timeout") == [lines[2], lines[3]])
        #expect(notes("max_connections") == [lines[2], "default"], "the route has a limit of its own, which is off")
        #expect(notes("handler") == [lines[3]] && notes("listen") == [lines[1]] && notes("plugins") == [lines[1]])
    }

    @Test func `says which environment variables a value is made of`() throws {
        let text = """
            listen ${ADDRESS}:${PORT:-8080}; user "${WHO}"; defaults { max_body ${SIZE}; }
            route /echo { handler ${HANDLER}; max_message ${SIZE}; set key "${WHO} and ${PORT:-$}"; set other $; }
            """
        let environment = Environment(variables: [
            "ADDRESS": "127.0.0.1", "WHO": "x y", "SIZE": "7k", "HANDLER": "echo",
        ])
        let printed = try Configuration.parse(text, file: "g.conf", environment: environment).configuration
            .effectiveText()
        let lines = printed.split(separator: "\n").map {
            $0.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
        for line in [
            "listen 127.0.0.1:8080; # g.conf:1, $ADDRESS, $PORT", "user \"x y\"; # g.conf:1, $WHO",
            "max_body 7k; # g.conf:1, $SIZE, defaults", "handler echo; # g.conf:2, $HANDLER",
            "max_message 7k; # g.conf:2, $SIZE", "set key \"x y and \\$\"; # g.conf:2, $WHO, $PORT",
            "set other \"\\$\"; # g.conf:2",
        ] { #expect(lines.contains(line), "\(printed)") }
        let again = try Configuration.parse(printed, file: "again.conf").configuration
        #expect(again.routes[0].settings.map(\.value) == ["x y and $", "$"])
    }

    @Test func `what is said of processes stands where there is one`() throws {
        let text =
            "listen 1; defaults { checkpoint 1s; } route /a { handler a; isolation process; } route /b { handler b; }"
        let configuration = try Configuration.parse(text, file: "g.conf").configuration
        let rows = configuration.routes.map { route in
            configuration.limitRows(of: route).filter { ["checkpoint", "crash", "recycle"].contains($0.name) }.map(
                \.value)
        }
        #expect(rows == [["1s", "close", "off"], []])
        let lines = configuration.effectiveText().split(separator: "\n").filter { $0.contains("checkpoint") }
        #expect(lines.map { $0.hasSuffix("# g.conf:1") || $0.hasSuffix("# g.conf:1, defaults") } == [true, true])
    }

    @Test func `says what is a default`() throws {
        let text = "listen 8080;\ndefaults { max_head 8k; idle_timeout 1m; }\nroute /echo { handler echo; max_body 1; }"
        let printed = try Configuration.parse(text, file: "/g/gateway.conf").configuration.effectiveText()
        #expect(printed == expectedText)
    }
}

extension Configuration {
    /// The values alone.
    fileprivate var withoutOrigins: Configuration {
        let nowhere = SourceLocation(file: "", line: 0)
        var copy = self
        copy.file = ""
        copy.limitOrigins = [:]
        copy.origins = [:]
        copy.pluginsOrigins = [:]
        copy.controlOrigin = nil
        for index in copy.listeners.indices {
            copy.listeners[index].origin = nowhere
            copy.listeners[index].origins = [:]
            for place in copy.listeners[index].tls?.certificates.indices ?? 0..<0 {
                copy.listeners[index].tls?.certificates[place].origin = nowhere
                copy.listeners[index].tls?.clientAuthority?.origin = nowhere
            }
        }
        for index in copy.routes.indices {
            copy.routes[index].origin = nowhere
            copy.routes[index].limitOrigins = [:]
        }
        return copy
    }
}

private let expectedText = """
    # effective configuration of "/g/gateway.conf"
    listen 8080;                            # /g/gateway.conf:1
    threads auto;                           # default
    busy_poll off;                          # default
    max_memory off;                         # default
    plugins /g/Plugins {                    # default
        watch on;                           # default
        settle 200ms;                       # default
        retain 8;                           # default
    }
    mode production;                        # default
    console off;                            # default
    control unix:/g/.gateway.sock;          # default
    admin off;                              # default
    cluster off;                            # default
    access_log stderr text;                 # default
    error_log stderr info text;             # default

    defaults {
        max_message 1m;                     # default
        max_frame 1m;                       # default
        max_connections 100000;             # default
        max_connections_per_ip off;         # default
        handshake_rate off;                 # default
        handshake_timeout 10s;              # default
        reply_timeout 10s;                  # default
        max_head 8k;                        # /g/gateway.conf:2
        max_headers 100;                    # default
        max_body 64k;                       # default
        ping_interval 30s;                  # default
        pong_timeout 20s;                   # default
        idle_timeout 1m;                    # /g/gateway.conf:2
        close_timeout 5s;                   # default
        write_timeout 1m;                   # default
        send_buffer 1m;                     # default
        slow_consumer close;                # default
        start_timeout 10s;                  # default
        origin same-host;                   # default
        allow all;                          # default
        compression off;                    # default
        dispatch loop;                      # default
        isolation none;                     # default
        checkpoint off;                     # default
        crash close;                        # default
        recycle off;                        # default
        topics cluster;                     # default
        callback_stall 100ms;               # default
        reload auto;                        # default
        drain_timeout 1m;                   # default
        probation off;                      # default
    }

    route /echo {                           # /g/gateway.conf:3
        handler echo;                       # /g/gateway.conf:3
        max_message 1m;                     # default
        max_frame 1m;                       # default
        max_connections off;                # default
        max_connections_per_ip off;         # default
        handshake_rate off;                 # default
        reply_timeout 10s;                  # default
        max_body 1;                         # /g/gateway.conf:3
        ping_interval 30s;                  # default
        pong_timeout 20s;                   # default
        idle_timeout 1m;                    # /g/gateway.conf:2, defaults
        close_timeout 5s;                   # default
        write_timeout 1m;                   # default
        send_buffer 1m;                     # default
        slow_consumer close;                # default
        start_timeout 10s;                  # default
        origin same-host;                   # default
        allow all;                          # default
        compression off;                    # default
        dispatch loop;                      # default
        isolation none;                     # default
        topics cluster;                     # default
        callback_stall 100ms;               # default
        reload auto;                        # default
        drain_timeout 1m;                   # default
        probation off;                      # default
    }

    """
