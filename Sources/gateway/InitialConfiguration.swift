/// The gateway.conf that `gateway init` writes.
package enum InitialConfiguration {
    /// - Parameter hasEcho: the handler `echo` is found beside the program.
    package static func text(hasEcho: Bool) -> String {
        let echo = hasEcho ? "route /echo { handler echo; }" : "# route /echo { handler echo; }"
        return """
            # The configuration of a gateway for development on this machine, to begin with. `gateway check` finds mistakes,
            # `gateway explain /hello` says what holds for a path, `gateway man gateway.conf` has every directive, and
            # `gateway -T` shows every value that is in effect and where it comes from.

            # Who may connect: this machine alone. `listen 8080;` is everybody. ${NAME:-VALUE} is a variable of the environment
            # and what holds without it.
            listen 127.0.0.1:${PORT:-8080};

            # wss:// in the browser: `gateway dev-cert` writes these two files; then take the # away.
            # listen 127.0.0.1:8443 tls { certificate dev-cert.pem dev-key.pem; }

            # development shows a console at /, and watches how handlers keep to their contract. In production: production.
            mode development;

            # Handlers are shared libraries in this folder. A newer one that is put there takes over while clients stay.
            plugins ./Plugins;

            # What the gateway says, and a line for each connection: a file instead of stderr, json instead of text.
            error_log stderr info;
            access_log stderr text;

            # Numbers for Prometheus, and health, at /metrics, /healthz and /readyz:
            # admin 127.0.0.1:9090;

            # What holds for every route that does not say otherwise; these are the built-in values.
            defaults {
                max_message 1m;         # above, 1009
                ping_interval 30s;      # with pong_timeout finds peers that are gone
                idle_timeout off;       # how long a connection may be without a message
                origin same-host;       # which pages may connect; any, or a list
                compression off;        # on = permessage-deflate where clients offer it
            }

            # A path and the handler that serves it: hello is Plugins/hello.so. `set` is for the handler.
            # route /hello { handler hello; }
            # route /rooms/:room { handler rooms; set history 50; }
            \(echo)

            """
    }
}
