import Glibc
import HandlerModules
import Testing

@Suite("What happens to a file in a watched folder is heard of")
struct FolderWatchTests {
    let folder = TemporaryFolder()

    /// A watch where macros can use it.
    private final class Watching {
        private var watch: FolderWatch

        init(_ folders: [String]) throws {
            guard let watch = FolderWatch.start(folders: folders) else { throw SystemError("inotify_add_watch") }
            self.watch = watch
        }

        var number: Int32 { watch.number }

        func read() -> FolderWatch.Changes { watch.read() }
    }

    /// What a watch on the folder `plugins` reports about something that is done.
    private func changes(
        before: (String) -> Void = { _ in }, _ doing: (String) -> Void
    ) throws -> FolderWatch.Changes {
        let plugins = folder.folder("plugins")
        before(plugins)
        let watch = try Watching([plugins])
        #expect(watch.read().isEmpty)
        doing(plugins)
        return watch.read()
    }

    @Test func `a file written in place`() throws {
        let seen = try changes { _ in folder.write("plugins/echo.so", [1]) }
        #expect(seen == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a file renamed over another`() throws {
        folder.write("new.so", [2])
        let seen = try changes(before: { _ in folder.write("plugins/echo.so", [1]) }) {
            #expect(rename("\(folder.path)/new.so", "\($0)/echo.so") == 0)
        }
        #expect(seen == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a link that points elsewhere`() throws {
        let seen = try changes(before: { #expect(symlink("echo.1.so", "\($0)/echo.so") == 0) }) {
            #expect(symlink("echo.2.so", "\($0)/next") == 0)
            #expect(rename("\($0)/next", "\($0)/echo.so") == 0)
        }
        #expect(seen.names.contains("echo.so"))
        #expect(!seen.rescan)
    }

    @Test func `a file that goes`() throws {
        let seen = try changes(before: { _ in folder.write("plugins/echo.so", [1]) }) {
            #expect(unlink("\($0)/echo.so") == 0)
        }
        #expect(seen == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a file that gets another mode`() throws {
        let seen = try changes(before: { _ in folder.write("plugins/echo.so", [1]) }) {
            #expect(chmod("\($0)/echo.so", 0o600) == 0)
        }
        #expect(seen == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `folders inside are no news`() throws {
        let seen = try changes { #expect(mkdir("\($0)/.last-good", 0o700) == 0) }
        #expect(seen.isEmpty)
    }

    @Test func `several at once`() throws {
        let seen = try changes { _ in
            for number in 0..<500 { folder.write("plugins/\(number).so", [1]) }
        }
        #expect(seen.names == Set((0..<500).map { "\($0).so" }))
    }

    @Test func `a folder that is a link which points elsewhere`() throws {
        let one = folder.folder("one")
        let two = folder.folder("two")
        let link = "\(folder.path)/plugins"
        #expect(symlink(one, link) == 0)
        let watch = try Watching([link + "/"])
        #expect(symlink(two, "\(folder.path)/next") == 0)
        #expect(rename("\(folder.path)/next", link) == 0)
        #expect(watch.read().rescan)
        folder.write("one/echo.so", [1])
        #expect(watch.read().isEmpty)
        folder.write("two/echo.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test(arguments: [true, false])
    func `a link further up that points elsewhere`(_ isReplacedAtOnce: Bool) throws {
        for release in ["1", "2"] {
            _ = folder.folder(release)
            _ = folder.folder("\(release)/plugins")
        }
        let current = "\(folder.path)/current"
        #expect(symlink("1", current) == 0)
        let watch = try Watching(["\(current)/plugins"])
        if isReplacedAtOnce {
            #expect(symlink("2", "\(folder.path)/next") == 0 && rename("\(folder.path)/next", current) == 0)
        } else {
            #expect(unlink(current) == 0)
            #expect(watch.read().rescan)
            #expect(symlink("2", current) == 0)
        }
        #expect(watch.read().rescan)
        folder.write("1/plugins/echo.so", [1])
        #expect(watch.read().isEmpty)
        folder.write("2/plugins/echo.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a link behind a link that points elsewhere`() throws {
        let (one, two) = (folder.folder("one"), folder.folder("two"))
        let links = folder.folder("links")
        #expect(symlink(one, "\(links)/current") == 0 && symlink("links/current", "\(folder.path)/plugins") == 0)
        let watch = try Watching(["\(folder.path)/plugins"])
        #expect(symlink(two, "\(links)/next") == 0 && rename("\(links)/next", "\(links)/current") == 0)
        #expect(watch.read().rescan)
        folder.write("two/echo.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a folder further up that another one takes the place of`() throws {
        _ = folder.folder("app")
        _ = folder.folder("app/plugins")
        let watch = try Watching(["\(folder.path)/app/plugins"])
        #expect(rename("\(folder.path)/app", "\(folder.path)/old") == 0)
        #expect(watch.read().rescan)
        _ = folder.folder("new")
        _ = folder.folder("new/plugins")
        #expect(rename("\(folder.path)/new", "\(folder.path)/app") == 0)
        #expect(watch.read().rescan)
        folder.write("app/plugins/echo.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `what happens beside the way is no news`() throws {
        let plugins = folder.folder("plugins")
        let watch = try Watching([plugins])
        folder.write("notes", [1])
        _ = folder.folder("other")
        #expect(watch.read().isEmpty)
    }

    @Test func `a folder that is removed and made again`() throws {
        let plugins = folder.folder("plugins")
        let watch = try Watching([plugins])
        #expect(rmdir(plugins) == 0)
        #expect(watch.read().rescan)
        _ = folder.folder("plugins")
        #expect(watch.read().rescan)
        #expect(watch.read().isEmpty)
        folder.write("plugins/echo.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["echo.so"]))
    }

    @Test func `a folder that is not there yet`() throws {
        let watch = try Watching(["\(folder.path)/plugins", "/nowhere/at/all"])
        _ = folder.folder("plugins")
        #expect(watch.read().rescan)
        folder.write("plugins/echo.so", [1])
        #expect(watch.read().names == ["echo.so"])
    }

    @Test func `a folder that lies in another one`() throws {
        let outer = folder.folder("outer")
        let inner = folder.folder("outer/inner")
        let watch = try Watching([outer, inner])
        folder.write("outer/a.so", [1])
        folder.write("outer/inner/b.so", [1])
        #expect(watch.read() == FolderWatch.Changes(names: ["a.so", "b.so"]))
    }

    @Test func `the descriptor is readable when there is news`() throws {
        let plugins = folder.folder("plugins")
        let watch = try Watching([plugins])
        var interest = pollfd(fd: watch.number, events: Int16(POLLIN), revents: 0)
        #expect(poll(&interest, 1, 0) == 0)
        folder.write("plugins/echo.so", [1])
        #expect(poll(&interest, 1, 0) == 1)
    }
}
