import GatewayConfiguration
import GatewayServer

/// The pages of the manual, written from what help, configuration and exit statuses are made of.
package enum ManualPage: String, CaseIterable, Sendable {
    case gateway
    case configuration = "gateway.conf"

    package var text: String {
        switch self {
        case .gateway: Self.program
        case .configuration: Self.language
        }
    }

    private static func begin(_ title: String, section: Int, manual: String, name: String) -> Roff {
        var page = Roff(
            title, section: section, source: "gateway \(GatewayVersion.text)", date: GatewayVersion.date,
            manual: manual)
        page.section("Name")
        page.paragraph(name)
        return page
    }

    // MARK: gateway(1)

    private static var program: String {
        var page = begin(
            "GATEWAY", section: 1, manual: "User Commands",
            name: "gateway - WebSocket gateway whose handlers are shared libraries")
        page.section("Synopsis")
        page.code(CommandPage.all.flatMap(\.help.usageLines))
        page.section("Description")
        page.paragraph(
            "Owns sockets, the HTTP handshake, frames, TLS, timeouts and limits of WebSockets. What messages mean is the "
                + "business of handlers: shared libraries in C, Swift or anything that exports a C function, mapped to "
                + "paths in the configuration, and replaced while clients stay connected.")
        overview(&page)
        page.section("Commands in detail")
        for command in CommandPage.all { detail(command, &page) }
        page.section("Exit status")
        for (status, meaning) in ExitStatus.meanings { page.item(String(status), meaning) }
        page.section("Signals")
        for signal in SignalMeaning.all { page.item(signal.names.joined(separator: ", "), signal.text) }
        environment(&page)
        page.section("See also")
        page.paragraph("gateway.conf(5), systemctl(1), logrotate(8)")
        return page.text
    }

    /// Commands and options as `gateway --help` lists them.
    private static func overview(_ page: inout Roff) {
        page.section("Commands")
        for part in CommandPage.overview.parts {
            switch part {
            case .paragraph("exit status:"): return
            case .paragraph("options:"): page.section("Options")
            case .paragraph(let words): page.paragraph(words)
            case .item(let item): page.item(item.form, item.text)
            case .code(let line): page.code([line])
            }
        }
    }

    private static func detail(_ command: CommandPage, _ page: inout Roff) {
        page.subsection("gateway \(command.name)")
        page.code(command.help.usageLines)
        page.paragraph("Examples:")
        page.code(command.help.examples.flatMap { $0.text.isEmpty ? [$0.form] : ["# \($0.text)", $0.form] })
        for part in command.help.parts {
            switch part {
            case .paragraph(let words): page.paragraph(words)
            case .item(let item): page.item(item.form, item.text)
            case .code(let line): page.code([line])
            }
        }
    }

    private static func environment(_ page: inout Roff) {
        page.section("Environment")
        page.item("GATEWAY_CONF", "the configuration, where -c does not name it")
        page.item("NO_COLOR", "when it is set, nothing is coloured; else what goes to a terminal is")
        page.item("XDG_STATE_HOME", "where `gateway connect` keeps what was typed; else ~/.local/state")
        page.item("XDG_DATA_HOME", "where `gateway dev-cert` keeps its authority; else ~/.local/share")
        page.section("Files")
        for place in ConfigurationSearch.places {
            page.item(place, "the configuration, where nothing else names it; the first that is there")
        }
    }

    // MARK: gateway.conf(5)

    private static var language: String {
        var page = begin(
            "GATEWAY.CONF", section: 5, manual: "File Formats", name: "gateway.conf - configuration of gateway(1)")
        page.section("Description")
        page.paragraph(
            "Says where the gateway listens, which handler serves which path, and what a peer may cost. It is found by "
                + "the option -c, by $GATEWAY_CONF, or as \(ConfigurationSearch.places.joined(separator: ", or as ")).")
        page.paragraph(
            "A directive is `name value;` or `name value { ... }`, and # begins a comment. Values with spaces stand in "
                + "quotes, with the escapes \\\\ \\\" \\' \\n \\r \\t \\$. Durations have a unit (200ms 30s 5m 1h 1d), sizes "
                + "may have one (512 64k 1m 1g). Relative paths start from the folder of the file they are written in. "
                + "A name that does not exist is an error, never ignored.")
        page.paragraph(
            "${NAME} in a value is the environment variable NAME, and ${NAME:-default} is the default where that is not "
                + "set or empty. It is part of its word, whatever is in it: no spaces end it, no further variable is "
                + "looked for. One that is not set and has no default is an error. Single quotes and \\$ keep a $ as it is. "
                + "The environment is that of the gateway as it was started: a reload does not change it.")
        page.paragraph(
            "`gateway check` says whether a file is right, `gateway -T` prints it with every value in effect and where "
                + "that comes from, and `gateway explain PATH` which line sets what for a path.")
        for section in DirectiveManual.sections {
            page.section(section.title)
            for entry in section.entries {
                page.item(entry.name, entry.text)
                page.more(entry.facts)
            }
        }
        page.section("Example")
        page.code([
            "listen 8443 tls { certificate cert.pem key.pem; }", "plugins /usr/lib/gateway/handlers;",
            "defaults { max_message 64k; }", "route /echo { handler echo; }",
            "route /rooms/:room { handler rooms; set history 50; }",
        ])
        page.section("See also")
        page.paragraph("gateway(1)")
        return page.text
    }
}
