/// What is written in the files of other servers, and how it is said here.
enum FamiliarDirective {
    /// By the name of the directive: a sentence for whoever wrote it.
    static let known: [String: String] = [
        "server": "There is no such block: listen, route and host stand at the top level.",
        "http": "There is no such block: listen, route and defaults stand at the top level.",
        "events": "There is no such block: connections are limited by max_connections in \"defaults\".",
        "stream": "There is no such block: listen and route stand at the top level.",
        "location": "It is written: route /path { handler NAME; }",
        "path": "It is written: route /path { handler NAME; }",
        "proxy_pass": upstream,
        "reverse_proxy": upstream,
        "upstream": upstream,
        "backend": upstream,
        "root": "The gateway serves no files; what a handler answers to plain requests is its own affair.",
        "server_name": "Routes of one host stand in: host api.example.com { route /ws { handler NAME; } }",
        "port": "It is written: listen 8080;",
        "bind": "It is written: listen 127.0.0.1:8080;",
        "address": "It is written: listen 127.0.0.1:8080;",
        "ssl": secure,
        "tls": secure,
        "https": secure,
        "ssl_certificate": "It stands in the block of a listener: \(listener)",
        "ssl_certificate_key": "The key follows its certificate: \(listener)",
        "ssl_protocols": "It is called protocols, in the block of: listen 8443 tls { protocols 1.2 1.3; ... }",
        "ssl_ciphers": "It is called ciphers, in the block of: listen 8443 tls { ciphers \"...\"; ... }",
        "workers": "It is called threads: a worker is a thread with an event loop.",
        "worker_processes": "It is called threads: a worker is a thread with an event loop.",
        "worker_connections": "It is called max_connections, in \"defaults\", and counts over all workers.",
        "keepalive_timeout": "For WebSockets that is ping_interval with pong_timeout, or idle_timeout.",
        "proxy_read_timeout": "For WebSockets that is ping_interval with pong_timeout, or idle_timeout.",
        "client_max_body_size": "It is called max_message for messages, and max_body for plain requests.",
        "limit_conn": "It is called max_connections_per_ip.",
        "limit_req": "It is called handshake_rate, such as: handshake_rate 20/s burst 50;",
        "set_real_ip_from": "It is called trusted_proxies, such as: trusted_proxies 10.0.0.0/8;",
        "gzip": "It is called compression: permessage-deflate for messages.",
        "log": "There are access_log and error_log.",
        "metrics": "Metrics are served by: admin 127.0.0.1:9090;",
        "daemon": "The gateway stays in the foreground, where systemd and containers want it.",
        "pid": "The gateway is found by its control socket; it needs no pid file.",
        "plugin": "The folder is said by \"plugins\"; a route names a handler in it: route /path { handler NAME; }",
    ]

    private static let listener = "listen 8443 tls { certificate cert.pem key.pem; }"
    private static let secure = "TLS belongs to a listener: \(listener)"
    private static let upstream =
        "The gateway forwards to no other server: a handler, a shared library, answers. "
        + "It is written: route /path { handler NAME; }"
}
