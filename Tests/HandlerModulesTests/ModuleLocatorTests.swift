import Glibc
import HandlerModules
import Testing

@Suite("A handler's name leads to one file, in the configured folders only")
struct ModuleLocatorTests {
    let folder = TemporaryFolder()

    /// The path that was found, or the error.
    private func find(_ handler: String, in plugins: [String], beside: String? = nil) -> Result<String, ModuleError> {
        do throws(ModuleError) {
            let file = try ModuleLocator(plugins: plugins, executableFolder: beside).find(handler)
            return .success(file.path)
        } catch {
            return .failure(error)
        }
    }

    private func text(_ result: Result<String, ModuleError>) -> String {
        guard case .failure(let error) = result else { return "found" }
        return "\(error)"
    }

    @Test func `takes the plugins first and the plain name before lib`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        folder.write("bin/libecho.so", [])
        #expect(find("echo", in: [plugins], beside: beside) == .success("\(beside)/libecho.so"))
        folder.write("bin/echo.so", [])
        #expect(find("echo", in: [plugins], beside: beside) == .success("\(beside)/echo.so"))
        folder.write("plugins/libecho.so", [])
        #expect(find("echo", in: [plugins], beside: beside) == .success("\(plugins)/libecho.so"))
        folder.write("plugins/echo.so", [])
        #expect(find("echo", in: [plugins], beside: beside) == .success("\(plugins)/echo.so"))
    }

    @Test func `finds the built modules beside the executable`() {
        let result = find("echo", in: [], beside: ModuleLocator.executableFolder())
        #expect(result == .success("\(builtModules)/libecho.so"))
    }

    @Test func `says where it looked`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        #expect(
            text(find("feed", in: [plugins, "/nowhere"], beside: beside)) == """
                handler "feed": there is no module of this name.
                   Looked for: \(plugins)/feed.so, \(plugins)/libfeed.so, /nowhere/feed.so, /nowhere/libfeed.so, \
                \(beside)/feed.so, \(beside)/libfeed.so
                   To do: build it (`swift build` puts libfeed.so beside the gateway) or put feed.so there.
                   Nothing serves this handler: its routes answer 503 handler-unavailable; all others are served.
                """)
    }

    @Test(arguments: [
        "", ".", "..", "../etc/evil", "a/b", "/abs", "-x", "a b", "nul\0", "é", String(repeating: "n", count: 129),
    ])
    func `refuses what is no name`(_ name: String) {
        folder.write("x.so", [])
        #expect(text(find(name, in: [folder.path])).contains("this is not a handler name"))
    }

    @Test func `follows a link from one configured folder into another`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        folder.write("bin/libecho.so", [])
        #expect(symlink("../bin/libecho.so", "\(plugins)/echo.so") == 0)
        #expect(find("echo", in: [plugins], beside: beside) == .success("\(beside)/libecho.so"))
    }

    @Test func `follows a link to anywhere that only we can write`() {
        let plugins = folder.folder("plugins")
        _ = folder.folder("releases")
        _ = folder.folder("releases/2")
        folder.write("releases/2/feed.so", [])
        #expect(symlink("2", "\(folder.path)/releases/current") == 0)
        #expect(symlink("../releases/current/feed.so", "\(plugins)/feed.so") == 0)
        #expect(find("feed", in: [plugins]) == .success("\(folder.path)/releases/2/feed.so"))
    }

    @Test func `a folder that is a link is resolved at each look`() throws {
        for number in 1...2 {
            _ = folder.folder("\(number)")
            folder.write("\(number)/feed.so", [])
        }
        let current = "\(folder.path)/current"
        #expect(symlink("1", current) == 0)
        let locator = ModuleLocator(plugins: [current], executableFolder: nil)
        func found() throws -> String { try locator.find("feed").path }
        #expect(try found() == "\(folder.path)/1/feed.so")
        let before = locator.look("feed")
        #expect(unlink(current) == 0 && symlink("2", current) == 0)
        #expect(try found() == "\(folder.path)/2/feed.so")
        #expect(locator.look("feed") != before)
    }

    @Test func `refuses a link of somebody else's, wherever it stands on the way`() {
        guard geteuid() == 0 else { return }
        _ = folder.folder("1")
        folder.write("1/feed.so", [])
        let current = "\(folder.path)/current"
        #expect(symlink("1", current) == 0 && lchown(current, 1001, 1001) == 0)
        #expect(
            text(find("feed", in: [current])) == """
                handler "feed": its module cannot be trusted: the link \(current) belongs to user 1001, who is neither \
                root nor user 0 of the gateway.
                   File: \(current)/feed.so -> \(folder.path)/1/feed.so
                   To do: give file, links and folders to root or to the user of the gateway, writable by the owner alone.
                   Nothing serves this handler: its routes answer 503 handler-unavailable; all others are served.
                """)
    }

    @Test func `refuses a link through a folder that others can write to`() {
        let plugins = folder.folder("plugins")
        _ = folder.folder("open", mode: 0o777)
        _ = folder.folder("real")
        folder.write("real/feed.so", [])
        #expect(symlink("../real", "\(folder.path)/open/way") == 0)
        #expect(symlink("../open/way/feed.so", "\(plugins)/feed.so") == 0)
        #expect(text(find("feed", in: [plugins])).contains("\(folder.path)/open can be written by every user"))
    }

    @Test func `refuses a link that leads nowhere, and does not look further`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        folder.write("bin/libfeed.so", [])
        #expect(symlink("../gone/feed.so", "\(plugins)/feed.so") == 0)
        let text = text(find("feed", in: [plugins], beside: beside))
        let way = "`namei -l \(plugins)/feed.so`"
        #expect(text.contains("its module is a link that leads nowhere: there is no \(folder.path)/gone."))
        #expect(text.contains("To do: point it at a module (\(way) shows the way), or remove it."))
        let locator = ModuleLocator(plugins: [plugins], executableFolder: beside)
        #expect(locator.look("feed") != nil && locator.path(of: "feed") == "\(plugins)/feed.so")
    }

    @Test func `a file that goes is not replaced by a namesake in a later folder`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        folder.write("bin/libfeed.so", [])
        let locator = ModuleLocator(plugins: [plugins], executableFolder: beside)
        #expect(locator.look("feed") != nil && locator.look("feed", home: plugins) == nil)
        let error = #expect(throws: ModuleError.self) { _ = try locator.find("feed", home: plugins).path }
        #expect(
            error?.serving(1).description == """
                handler "feed": its file is gone.
                   Looked for: \(plugins)/feed.so, \(plugins)/libfeed.so. A file of this name in a later folder is not \
                taken: \(beside)/libfeed.so
                   To do: put feed.so there again, or start the gateway anew to have the other one.
                   Still serving: generation 1.
                """)
        folder.write("plugins/libfeed.so", [])
        #expect(throws: Never.self) { _ = try locator.find("feed", home: beside).path }
        #expect(locator.path(of: "feed", home: beside) == "\(plugins)/libfeed.so", "one in an earlier folder is taken")
    }

    @Test func `refuses a file that everybody can write, and does not look further`() {
        let plugins = folder.folder("plugins")
        let beside = folder.folder("bin")
        folder.write("plugins/echo.so", [], mode: 0o666)
        folder.write("bin/libecho.so", [])
        let text = text(find("echo", in: [plugins], beside: beside))
        #expect(text.contains("its module cannot be trusted: it can be written by every user (mode 0666)."))
    }

    @Test func `refuses a folder that everybody can write, sticky or not`() {
        for (name, mode) in [("open", mode_t(0o777)), ("sticky", 0o1777)] {
            let plugins = folder.folder(name, mode: mode)
            folder.write("\(name)/echo.so", [])
            let text = text(find("echo", in: [plugins]))
            #expect(text.contains("cannot be trusted: \(plugins) can be written by every user"))
        }
    }

    @Test func `refuses a folder further up that everybody can write`() {
        _ = folder.folder("shared", mode: 0o777)
        let plugins = folder.folder("shared/plugins")
        folder.write("shared/plugins/echo.so", [])
        #expect(text(find("echo", in: [plugins])).contains("\(folder.path)/shared can be written by every user"))
    }

    @Test func `refuses what is no regular file, without waiting for a writer`() {
        let plugins = folder.folder("plugins")
        #expect(mkfifo("\(plugins)/pipe.so", 0o600) == 0)
        _ = folder.folder("plugins/dir.so")
        #expect(text(find("pipe", in: [plugins])).contains("its module is not a regular file."))
        #expect(text(find("dir", in: [plugins])).contains("its module is not a regular file."))
    }

    @Test func `names a link that goes in circles`() {
        #expect(symlink("loop.so", "\(folder.path)/loop.so") == 0)
        #expect(
            text(find("loop", in: [folder.path])).contains(
                "cannot be opened (open: Too many levels of symbolic links)"))
    }

    @Test(arguments: [
        ("echo.so", ["echo"]), ("libecho.so", ["echo", "libecho"]), ("lib.so", ["lib"]), ("echo.so.part", []),
        (".so", []), ("libechosan.1.so", ["echosan.1", "libechosan.1"]),
    ])
    func `knows whose module a file may be`(_ name: String, _ handlers: [String]) {
        #expect(ModuleLocator.handlers(ofFile: name) == handlers)
    }

    @Test func `names the file it would look at`() {
        let locator = ModuleLocator(plugins: [], executableFolder: builtModules)
        #expect(locator.path(of: "echo") == "\(builtModules)/libecho.so")
        #expect(locator.path(of: "nobody") == nil)
        #expect(locator.path(of: "../echo") == nil)
    }
}
