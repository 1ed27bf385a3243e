/// Commands of other programs, and how they are said here.
enum FamiliarCommand {
    /// By the word that was typed: what follows "unknown command".
    static let known: [String: String] = {
        var known: [String: String] = [:]
        for (words, meant) in groups {
            for word in words { known[word] = meant }
        }
        return known
    }()

    private static let groups: [(words: [String], meant: String)] = [
        (["serve", "start", "up", "server", "daemon", "launch"], "did you mean `gateway run`, or `gateway` alone?"),
        (
            ["restart"],
            "`gateway reload` takes what changed while it serves; else `gateway stop`, and `gateway` once more"
        ),
        (["validate", "verify", "lint", "configtest", "test-config"], "did you mean `gateway check`?"),
        (["config", "configuration", "print-config"], "did you mean `gateway -T`, which prints it?"),
        (["kill", "quit", "shutdown", "down", "halt"], "did you mean `gateway stop`, or `gateway drain`?"),
        (["ps", "ls", "list", "info", "handlers"], "did you mean `gateway status`?"),
        (["routes", "route", "match"], "did you mean `gateway explain PATH`, or `gateway status`?"),
        (["stats", "monitor", "watch", "live"], "did you mean `gateway top`?"),
        (["client", "wscat", "websocat", "open", "dial", "console"], "did you mean `gateway connect URL`?"),
        (["create", "generate", "scaffold", "add"], "did you mean `gateway new NAME`?"),
        (["setup", "configure"], "did you mean `gateway init`?"),
        (["cert", "certificate", "tls", "ssl", "mkcert"], "did you mean `gateway dev-cert`?"),
        (["benchmark", "load", "loadtest"], "did you mean `gateway bench URL`?"),
        (
            ["update", "self-update", "self-upgrade", "replace"],
            "did you mean `gateway upgrade`, or `gateway reload HANDLER`?"
        ),
        (["undo", "revert"], "did you mean `gateway rollback HANDLER`?"),
    ]
}
