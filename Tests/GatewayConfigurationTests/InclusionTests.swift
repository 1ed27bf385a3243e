import GatewayConfiguration
import Glibc
import Testing

@Suite("gateway.conf: include")
struct InclusionTests {
    @Test func `files of a pattern are read in the order of their names, where the line stands`() throws {
        let folder = try Folder([
            "gateway.conf": "listen 1;\ninclude conf.d/*.conf;\nroute /z { handler z; include one/more; }\n",
            "conf.d/20-b.conf": "route /b { handler b; }",
            "conf.d/10-a.conf": "route /a { handler a; }\nplugins ./P;",
            "conf.d/ignored.txt": "nonsense",
            "one/more": "set k v;",
        ])
        let loaded = try Configuration.load(file: folder.path("gateway.conf"))
        #expect(loaded.configuration.routes.map(\.handler) == ["a", "b", "z"])
        #expect(loaded.configuration.routes.last?.settings == [.init(key: "k", value: "v")])
        #expect(loaded.configuration.routes.first?.origin.file == folder.path("conf.d/10-a.conf"))
        #expect(loaded.configuration.pluginsFolder == folder.path("conf.d/P"))
    }

    @Test func `an error in an included file shows that file, and a duplicate the other one`() throws {
        let folder = try Folder([
            "gateway.conf": "listen 1;\nthreads 1;\nconsole /;\ninclude a.conf;\n",
            "a.conf": "\nthreads 2;\n  bad;\n",
        ])
        #expect(
            folder.findings("gateway.conf") == [
                "a.conf:2:1+7 error: duplicate \"threads\" (first set at \(folder.path("gateway.conf")):2)",
                "a.conf:3:3+3 error: unknown directive \"bad\"",
            ])
    }

    @Test func `a cycle is an error at the line that closes it`() throws {
        let folder = try Folder([
            "gateway.conf": "listen 1; console /;\ninclude a.conf;", "a.conf": "include b.conf;",
            "b.conf": "\n include ./a.conf;",
        ])
        let found = folder.findings("gateway.conf")
        #expect(found == ["b.conf:2:10+8 error: \"\(folder.path("a.conf"))\" includes itself"])
    }

    @Test func `files that include each other's successors twice come to an end`() throws {
        var files = ["gateway.conf": "include f0;include f0;"]
        for index in 0..<7 { files["f\(index)"] = String(repeating: "include f\(index + 1);", count: 8) }
        files["f7"] = "listen 0;"
        let folder = try Folder(files)
        let found = folder.findings("gateway.conf")
        #expect(found.first?.contains("nested more than 8 deep") == true)
        files["f3"] = "listen 0;"
        let shallow = try Folder(files)
        #expect(shallow.findings("gateway.conf").first?.contains("more than 256 files are included") == true)
    }

    @Test func `a folder whose name looks like a pattern is not one`() throws {
        let folder = try Folder(["[x]*/gateway.conf": "include *.inc;", "[x]*/a.inc": "listen 1; console /;"])
        let loaded = try Configuration.load(file: folder.path("[x]*/gateway.conf"))
        #expect(loaded.configuration.listeners.count == 1)
    }

    @Test func `a pipe is refused instead of waited for`() throws {
        let folder = try Folder(["gateway.conf": "include pipe;"])
        #expect(mkfifo(folder.path("pipe"), 0o600) == 0)
        defer { unlink(folder.path("pipe")) }
        #expect(
            folder.findings("gateway.conf") == [
                "gateway.conf:1:9+4 error: cannot include \"\(folder.path("pipe"))\": Not a plain file"
            ])
    }

    @Test func `a pattern that matches nothing is fine`() {
        #expect(Reading("listen 1; console /; include /nonexistent/*.conf;").findings == [])
    }

    @Test func `an included file is text or is refused`() throws {
        let folder = try Folder(["gateway.conf": "include a;", "a": "\0"])
        let found = folder.findings("gateway.conf")
        #expect(
            found == [
                "gateway.conf:1:9+1 error: cannot include \"\(folder.path("a"))\": not a text file (byte 0 is NUL)"
            ])
    }

    @Test(arguments: refusedIncludes)
    func `refuses what cannot be included`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let refusedIncludes: [Refusal] = [
    Refusal(
        "include;",
        ["1:1+7 error: \"include\" needs a file or a pattern such as conf.d/*.conf"]),
    Refusal(
        "include '';",
        ["1:1+7 error: \"include\" needs a file or a pattern such as conf.d/*.conf"]),
    Refusal(
        "include a b;",
        ["1:11+1 error: \"include\" takes one file or pattern; write one line for each"]),
    Refusal(
        "include a {}",
        ["1:11+1 error: \"include\" does not take a block"]),
    Refusal(
        "include /nonexistent/a.conf;",
        ["1:9+19 error: cannot include \"/nonexistent/a.conf\": No such file or directory"]),
    Refusal(
        "include /;",
        ["1:9+1 error: cannot include \"/\": Not a plain file"]),
]
