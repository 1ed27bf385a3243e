extension Directive {
    /// What the manual says of a row beside what the row itself tells.
    struct Meaning: Sendable {
        /// A sentence or two.
        let text: String
        /// What holds without a line, where the setting does not know it.
        let standard: String?

        init(_ text: String, standard: String? = nil) {
            self.text = text
            self.standard = standard
        }
    }

    /// The meaning of this row; nil when nobody wrote it down, which a test finds.
    var meaning: Meaning? { Self.meanings[key] }

    /// The name, with the block where the same name means something else in another one.
    var key: String {
        let isAmbiguous = Self.rows[name].map { $0.count > 1 } ?? false
        return isAmbiguous ? "\(name) \(places.phrase)" : name
    }

    static let meanings: [String: Meaning] = ofTheGateway.merging(ofConnections) { $1 }

    private static let ofTheGateway: [String: Meaning] = [
        "include": Meaning("Reads more files where it stands, those that fit a pattern in the order of their names."),
        "listen": Meaning(
            "Where to listen, a line for each place, at least one. A port alone is every address of the machine. "
                + "With `tls` before the block it speaks TLS."),
        "proxy_protocol": Meaning(
            "`on`: each connection begins with a PROXY header, version 1 or 2, and before TLS. Who is none of "
                + "`trusted_proxies`, or sends none, is closed."),
        "mode \(Place([.listen, .tls]).phrase)": Meaning(
            "Who may connect to a unix socket.", standard: "what the umask leaves, and 0660 with a `group`"),
        "group": Meaning("The group of a unix socket.", standard: "that of the gateway"),
        "certificate": Meaning(
            "PEM files: the certificate with those that vouch for it, and the key, unless that is in the same file. "
                + "The host that a client asks for chooses among several; the first is for all others. They are read "
                + "again when they change."),
        "protocols": Meaning("The versions of TLS.", standard: "1.2 1.3"),
        "ciphers": Meaning(
            "In the words of OpenSSL; what begins with TLS_ is for 1.3, the others for 1.2.",
            standard: "ECDHE+AESGCM and ECDHE+CHACHA20 for 1.2, all for 1.3"),
        "client_ca": Meaning(
            "Clients show a certificate that one of this file vouches for, and handlers have its name; `optional` lets "
                + "those without one in as well.", standard: "not asked for"),
        "http2": Meaning(
            "HTTP/2 beside HTTP/1.1, with WebSockets as its streams (RFC 8441). With `tls` both ends agree on it (ALPN); "
                + "without, a client that knows of it begins with it.", standard: "`on` with `tls`, `off` without"),
        "max_streams": Meaning("WebSockets and requests that one connection of HTTP/2 may have open at once."),
        "handshake_limit": Meaning("TLS handshakes under way at once; above, they wait within `handshake_timeout`."),
        "trusted_proxies": Meaning(
            "Who is believed when he says for whom he connects, in a PROXY header or in one of the request. Handlers, "
                + "logs and limits see the address found so.", standard: "nobody"),
        "header": Meaning("The header of a request in which proxies say it; `off` for none."),
        "user \(Place.top.phrase)": Meaning(
            "Who the gateway becomes, for good, once it listens and has read its certificates.",
            standard: "it stays who started it"),
        "state_dir": Meaning(
            "The folder for all that the gateway writes of its own accord: copies of handlers, the last good ones, the "
                + "record of a crash. Nothing else need be writable.",
            standard: "$STATE_DIRECTORY of systemd, else beside the handlers and gateway.conf"),
        "threads": Meaning(
            "Workers, each with an event loop and connections of its own; `auto` is one for each core.",
            standard: "auto"),
        "busy_poll": Meaning(
            "How long a worker that ran out of work looks for more before it sleeps: sooner answers for a busy core.",
            standard: "off"),
        "max_memory": Meaning(
            "What the buffers of all connections may hold together. Above, new requests are answered 503, and the "
                + "connections that hold most are closed with 1013.", standard: "off"),
        "plugins": Meaning(
            "The folder of the handlers; looked through before the folder of the gateway's executable.",
            standard: "./Plugins"),
        "watch": Meaning("`on`: a changed file reloads its handler; `off`: only a signal and `gateway reload` do."),
        "settle": Meaning("How long a changed file must be left alone before it is taken."),
        "retain": Meaning("How many older builds of a handler `gateway rollback` can go back to."),
        "mode \(Place.top.phrase)": Meaning(
            "`development` shows the console without being asked, and watches how handlers keep to their contract, "
                + "which costs some speed.", standard: "production"),
        "console": Meaning(
            "The path of the built-in page to try handlers with.", standard: "/ in development, off in production"),
        "control": Meaning(
            "The socket for `gateway status`, `reload`, `rollback`, `stop` and `drain`, which hears only the user of "
                + "the gateway and root.", standard: "unix:.gateway.sock"),
        "admin": Meaning(
            "Where metrics (/metrics) and health (/healthz, /readyz) are asked for. Beyond this machine a token is "
                + "compulsory.", standard: "off"),
        "token_file": Meaning(
            "What it holds is shown by clients as `Authorization: Bearer TOKEN`; of mode 0600 or 0400.",
            standard: "no token"),
        "cluster": Meaning(
            "The engine, NATS or Redis, that carries topics to other gateways. Several nats:// URLs are seeds of one; of "
                + "several redis:// URLs each has a share of the topics.", standard: "off"),
        "name": Meaning("What the engine's operator sees of this gateway.", standard: "host and process"),
        "prefix": Meaning(
            "Gateways with the same one share topics; it begins all names in the engine.",
            standard: ClusterConfiguration.defaultPrefix),
        "user \(Place.cluster.phrase)": Meaning("Whom the engine knows this gateway as.", standard: "that of the URL"),
        "password_file": Meaning(
            "What it holds is the password, or the token, for the engine; of mode 0600 or 0400.",
            standard: "that of the URL"),
        "queue": Meaning("Publications that wait for an engine; above, they reach members here alone."),
        "probe": Meaning("How often a message goes through the engine and back; two that do not come are an outage."),
        "topics": Meaning("`local`: topics of the route end at this gateway, also where there is `cluster`."),
        "hosts": Meaning(
            "Names that the machine is asked for by, beside localhost, its own and numbers; others are 403.",
            standard: "none"),
        "access_log": Meaning(
            "A line for each connection, its end, each refusal and each plain request.", standard: "stderr text"),
        "error_log": Meaning(
            "What the gateway and its handlers say, from the named level on: "
                + Configuration.LogLevel.allCases.map(\.name).joined(separator: ", ") + ".",
            standard: "stderr info text"),
        "defaults": Meaning("What holds for every route that does not say otherwise."),
        "route": Meaning(
            "A path and the handler that serves it. /rooms/:room has a parameter, /feed/* is everything below /feed/. "
                + "The exact path wins, then parameters, then the longest /*."),
        "host": Meaning(
            "Routes for requests to that host alone, tried before those outside; *.example.com is every host below."),
        "handler": Meaning("Served by NAME.so or libNAME.so of `plugins`."),
        "subprotocols": Meaning("The client's first offer that is listed is taken.", standard: "none"),
        "set": Meaning("A key and a value for the handler's start."),
    ]

    private static let ofConnections: [String: Meaning] = [
        "max_message": Meaning("An incoming message, its fragments joined; above, close code 1009."),
        "max_frame": Meaning("An incoming frame; it cannot exceed `max_message`.", standard: "as `max_message`"),
        "max_connections \(Place.defaults.phrase)": Meaning("Connections of the whole gateway at once; above, 503."),
        "max_connections \(Place.route.phrase)": Meaning("Connections of this route at once; above, 503."),
        "max_connections_per_ip \(Place.defaults.phrase)": Meaning(
            "WebSockets that one address has at once, at the whole gateway; above, 429. An IPv6 network of 64 bits is "
                + "one address."),
        "max_connections_per_ip \(Place.route.phrase)": Meaning("The same, of this route."),
        "handshake_rate \(Place.defaults.phrase)": Meaning(
            "How often one address may ask for a WebSocket: `20/s burst 50` is 50 at once and 20 a second from then on; "
                + "above, 429 with Retry-After."),
        "handshake_rate \(Place.route.phrase)": Meaning("The same, at this route."),
        "handshake_timeout": Meaning("From connecting to a whole request head, however slowly it comes; then 408."),
        "reply_timeout": Meaning("How long a handler may think about an upgrade or a plain request; then 504."),
        "max_head": Meaning("Bytes of a request head; above, 431."),
        "max_headers": Meaning("Lines of a request head; above, 431."),
        "max_body": Meaning("The body of a plain request; above, 413."),
        "ping_interval": Meaning("How often each peer is asked whether it lives."),
        "pong_timeout": Meaning("How long it may take to answer; then it is closed."),
        "idle_timeout": Meaning("How long a connection may stay without a message, whatever pings do; then 1001."),
        "close_timeout": Meaning("How long the peer's half of the closing handshake is waited for."),
        "write_timeout": Meaning("How long output may wait for a peer that takes none of it; then it is cut off."),
        "send_buffer": Meaning("Bytes that may wait for a peer to read them."),
        "slow_consumer": Meaning(
            "What happens above `send_buffer`: the connection is closed with 1013; what is sent is not taken; the "
                + "oldest messages are given up; or the peer is not read from."),
        "start_timeout": Meaning("How long a handler may take to start."),
        "origin": Meaning(
            "Which pages may connect, as browsers tell it; else 403. *. stands for one or more labels. `required` "
                + "refuses clients without Origin, too."),
        "allow": Meaning(
            "Addresses that may connect. The first `allow` or `deny` that fits decides; a route that has either has "
                + "only its own.", standard: "all"),
        "deny": Meaning("Addresses that hear 403.", standard: "none"),
        "compression": Meaning(
            "permessage-deflate (RFC 7692), where the client offers it. `on` keeps windows from message to message; "
                + "`no-context-takeover` keeps nothing."),
        "level": Meaning("From 0, fastest, to 9, smallest."),
        "threshold": Meaning("A message of so many bytes is compressed, one below is not."),
        "window": Meaning("The largest window, as a power of two."),
        "memory": Meaning("What the windows of the route may take; above, new connections keep none."),
        "dispatch": Meaning(
            "Which threads call the handler: those of the event loops, so no callback may block, or others, so each "
                + "may."),
        "isolation": Meaning(
            "`process`: the handler runs in a process of its own. When that ends, be it by a crash, a new one goes on with "
                + "its connections. The same for all routes of a handler."),
        "checkpoint": Meaning(
            "How often a handler with `isolation process` is asked to save what it knows of a connection, which a new "
                + "process gets: after each message, or every so often where something has changed."),
        "crash": Meaning(
            "What becomes of the connection in whose callback the process of its handler has crashed: it is closed with "
                + "1011, or goes on without that message."),
        "recycle": Meaning(
            "The process of a handler makes room for a new one, to which its connections move, when it has so much memory, "
                + "or when it is so old. A size alone has a capital M."),
        "log_level": Meaning(
            "What the handler logs below this level is not written.", standard: "what `error_log` writes"),
        "callback_stall": Meaning("A callback that blocks a loop for longer is named in the log while it still does."),
        "reload": Meaning(
            "What becomes of connections when their handler is replaced: they move where both generations can hand "
                + "over state and drain otherwise; they move, or the new generation is refused; they stay until they "
                + "end; 1012; or the handler stays as it is."),
        "drain_timeout": Meaning("How long connections may stay with a generation that was replaced; then 1012."),
        "probation": Meaning("`30s 10`: back to the generation before after more than 10 errors within 30 s."),
    ]
}
