import Glibc
import HandlerModules
import Testing

@Suite("The module that served last is there at the next start")
struct LastGoodTests {
    let folder = TemporaryFolder()

    @Test func `keeps a copy, and replaces it whole`() throws {
        let lastGood = LastGood(in: folder.path)
        #expect(lastGood.recall("echo") == nil)
        #expect(names(in: folder.path) == [], "nothing is made before there is something to remember")
        let bytes = [UInt8](repeating: 7, count: 200_000)
        try lastGood.remember(folder.write("one.so", bytes), handler: "echo")
        let path = try #require(lastGood.recall("echo"))
        #expect(path == "\(folder.path)/.last-good/echo.so")
        #expect(contents(of: path) == bytes)
        try lastGood.remember(folder.write("two.so", [1, 2]), handler: "echo")
        #expect(contents(of: path) == [1, 2])
        #expect(contents(of: try #require(lastGood.recall("echo", .earlier))) == bytes, "the one before is kept, too")
        try lastGood.remember(folder.write("three.so", [1, 2]), handler: "echo")
        #expect(contents(of: "\(path).earlier") == bytes, "the same build changes nothing")
        #expect(names(in: lastGood.folder) == ["echo.so", "echo.so.earlier"])
        var status = stat()
        #expect(lstat(lastGood.folder, &status) == 0 && status.st_mode & 0o7777 == 0o700)
    }

    @Test func `trusts no copy that others could have written`() throws {
        let lastGood = LastGood(in: folder.path)
        try lastGood.remember(folder.write("one.so", [1]), handler: "echo")
        let path = "\(lastGood.folder)/echo.so"
        #expect(chmod(path, 0o777) == 0)
        #expect(lastGood.recall("echo") == nil)
        #expect(chmod(path, 0o500) == 0)
        #expect(lastGood.recall("echo") != nil)
        #expect(chmod(lastGood.folder, 0o755) == 0)
        #expect(lastGood.recall("echo") == nil)
        let failure = #expect(throws: LastGood.Failure.self) { try lastGood.remember(path, handler: "echo") }
        #expect(failure?.description == "\(lastGood.folder) is open to other users; its mode must be 0700")
    }

    @Test func `follows no link`() throws {
        let lastGood = LastGood(in: folder.path)
        #expect(symlink(folder.folder("elsewhere", mode: 0o700), lastGood.folder) == 0)
        let module = folder.write("one.so", [1])
        let failure = #expect(throws: LastGood.Failure.self) { try lastGood.remember(module, handler: "echo") }
        #expect(failure?.description == "\(lastGood.folder) is not a folder")
    }

    @Test func `takes names of handlers only`() {
        let lastGood = LastGood(in: folder.path)
        #expect(throws: LastGood.Failure.self) { try lastGood.remember("/bin/true", handler: "../echo") }
        #expect(lastGood.recall("../echo") == nil)
    }

    @Test func `what was decided is there at the next start`() throws {
        let lastGood = LastGood(in: folder.path)
        try lastGood.remember(Standing(), handler: "echo")
        #expect(names(in: folder.path) == [], "the usual is not kept")
        var standing = Standing()
        standing.rolledBack = Standing.Rollback(fileDigest: 0xAB, generation: 3)
        standing.pardonedUntil = "2026-01-31T23:59:59Z"
        try lastGood.rememberRollback(folder.write("one.so", [1]), handler: "echo")
        try lastGood.remember(standing, handler: "echo")
        #expect(lastGood.standing(of: "echo") == standing)
        #expect(lastGood.recall("echo", .rollback) != nil)
        standing.rolledBack = nil
        try lastGood.remember(standing, handler: "echo")
        #expect(lastGood.standing(of: "echo") == standing)
        #expect(lastGood.recall("echo", .rollback) == nil, "nobody needs it any more")
        #expect(chmod("\(lastGood.folder)/echo.so.standing", 0o666) == 0)
        #expect(lastGood.standing(of: "echo") == Standing(), "others could have written it")
    }

    @Test(arguments: [
        "", "rolled-back x 3\n", "rolled-back 1\n", "pardoned\n", "\0\u{1F600}", "rolled-back 1 2 3", "pardoned -\r",
        "pardoned e\u{301}\n",
    ])
    func `a decision that makes no sense says nothing`(_ text: String) {
        #expect(Standing(text: text) == Standing())
    }

    @Test func `is loaded where the file on disk is bad`() throws {
        let plugins = folder.folder("plugins")
        let workshop = try Workshop(plugins: [plugins])
        let lastGood = LastGood(in: plugins)
        folder.write("plugins/feed.so", contents(of: "\(builtModules)/libecho.so"))
        let good = try workshop.load("feed")
        try lastGood.remember(good.path, handler: "feed")
        folder.write("plugins/feed.so", Array("not a module".utf8))
        let module = Module(handler: "feed")
        #expect(throws: ModuleError.self) { try workshop.loader.load(module) }
        let path = try #require(lastGood.recall("feed"))
        let generation = try workshop.loader.activate(workshop.loader.prepare(module, from: path), of: module)
        #expect(generation.digest == good.digest)
        #expect(generation.source == path)
    }

    @Test func `a file of one's choice is examined like any other`() throws {
        let workshop = try Workshop()
        let module = Module(handler: "feed")
        func failure(_ path: String) -> ModuleError? {
            do {
                _ = try workshop.loader.prepare(module, from: path)
                return nil
            } catch {
                return error
            }
        }
        #expect(
            failure("/nowhere/echo.so")?.reason == "its module cannot be opened (open: No such file or directory)")
        let text = folder.write("text.so", Array("not a module".utf8))
        #expect(failure(text)?.reason == "its module cannot be loaded: it is not an ELF file")
        #expect(chmod(text, 0o666) == 0)
        #expect(failure(text)?.reason == "its module cannot be trusted: it can be written by every user (mode 0666)")
    }
}
