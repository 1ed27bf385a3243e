import GatewayControl
import GatewayServer

/// What is to be tried: a module, and the route it is served on.
package struct TrialPlan: Sendable {
    /// A `set` line of the route.
    package struct Setting: Sendable, Equatable {
        package let key: String
        package let value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// The module, as the user named it.
    package var file: String
    /// The pattern of the route.
    package var route = "/trial"
    /// The `set` lines.
    package var settings: [Setting] = []
    /// Clients come over TLS.
    package var isSecure = false
    /// Clients compress their messages.
    package var deflates = false
    /// The program that is the gateway.
    package var gateway = Server.ownProgram

    /// A plan with nothing set.
    package init(file: String) { self.file = file }

    /// What gateway.conf would call the handler: the name of the file without `lib` and `.so`.
    var handler: String {
        var name = Substring(file.split(separator: "/").last ?? "")
        if name.hasSuffix(".so") { name = name.dropLast(3) }
        if name.hasPrefix("lib"), name.count > 3 { name = name.dropFirst(3) }
        return ControlCommand.isHandlerName(String(name)) ? String(name) : "handler"
    }

    /// A path that the route matches.
    var path: String {
        let parts = route.split(separator: "/", omittingEmptySubsequences: false).map { part in
            part.hasPrefix(":") ? "one" : part == "*" ? "some/where" : String(part)
        }
        return parts.joined(separator: "/")
    }

    /// The configuration of the gateway that serves the trial.
    var configuration: String {
        let listener = isSecure ? "listen unix:./s tls { certificate cert.pem key.pem; }" : "listen unix:./s;"
        var text = """
            \(listener)
            control unix:./c;
            threads 2;
            mode development;
            console off;
            access_log off;
            plugins ./plugins { watch off; }
            defaults {
                ping_interval off;
                idle_timeout off;
                reply_timeout 2s;
                close_timeout 2s;
                max_message 4m;
            }
            route \(Self.quoted(route)) {
                handler \(handler);
                origin any;

            """
        if deflates { text += "    compression on;\n" }
        for setting in settings { text += "    set \(Self.quoted(setting.key)) \(Self.quoted(setting.value));\n" }
        return text + "}\n"
    }

    private static func quoted(_ word: String) -> String {
        "\"" + word.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
    }
}
