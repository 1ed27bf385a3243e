import Glibc
import HandlerModules
import Testing

@Suite("The folder modules are loaded from is private, and is cleaned up")
struct RunDirectoryTests {
    let folder = TemporaryFolder()

    @Test func `is ours alone`() throws {
        let run = try RunDirectory(bases: ["/nowhere", folder.path])
        var status = stat()
        #expect(lstat(run.path, &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o700)
        #expect(status.st_uid == geteuid())
        #expect(run.path.hasPrefix("\(folder.path)/gateway-\(getpid())-"))
    }

    @Test func `goes with its files when its owner goes`() throws {
        var run: RunDirectory? = try RunDirectory(bases: [folder.path])
        let path = try #require(run?.path)
        folder.write(String(path.dropFirst(folder.path.utf8.count + 1)) + "/echo.1.so", [1])
        #expect(names(in: path) == ["echo.1.so", "lock"])
        run = nil
        #expect(names(in: folder.path) == [])
    }

    @Test func `can be removed early and twice`() throws {
        let run = try RunDirectory(bases: [folder.path])
        run.remove()
        run.remove()
        #expect(names(in: folder.path) == [])
    }

    @Test func `removes what a dead process left behind`() throws {
        let dead = try #require(processThatEnded())
        _ = folder.folder("gateway-\(dead)-abcdef", mode: 0o700)
        folder.write("gateway-\(dead)-abcdef/lock", [])
        folder.write("gateway-\(dead)-abcdef/chat.1.so", [1, 2, 3])
        #expect(RunDirectory.removeLeftovers(in: folder.path) == ["\(folder.path)/gateway-\(dead)-abcdef"])
        #expect(names(in: folder.path) == [])
    }

    @Test func `leaves alone what lives or is not its own`() throws {
        let dead = try #require(processThatEnded())
        let run = try RunDirectory(bases: [folder.path])
        let parent = folder.folder("gateway-\(getppid())-abcdef", mode: 0o700)
        let odd = folder.folder("gateway-notanumber", mode: 0o700)
        folder.write("gateway-\(dead)-file", [])
        #expect(symlink(parent, "\(folder.path)/gateway-\(dead)-link") == 0)
        // Its process cannot be seen from here, but somebody holds its lock.
        _ = folder.folder("gateway-\(dead)-locked", mode: 0o700)
        let lock = open(folder.write("gateway-\(dead)-locked/lock", []), O_RDWR)
        defer { _ = close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let before = names(in: folder.path)
        #expect(RunDirectory.removeLeftovers(in: folder.path) == [])
        #expect(names(in: folder.path) == before)
        #expect(names(in: run.path) == ["lock"])
        #expect(names(in: odd) == [])
    }

    @Test func `says what is wrong with each base`() {
        let open = folder.folder("open", mode: 0o777)
        let error = #expect(throws: RunDirectoryError.self) { try RunDirectory(bases: ["/nowhere", open]) }
        #expect(
            error?.description == """
                no folder to load handlers from.
                   /nowhere does not exist
                   \(open) cannot be trusted: \(open) can be written by every user (mode 0777)
                   To do: name a folder that belongs to the gateway's user and is not mounted noexec, with a line such as
                   `state_dir /var/lib/gateway;` in gateway.conf.
                """)
    }

    private static let hasNoExecutionMount: Bool = {
        var system = statvfs()
        return statvfs("/proc", &system) == 0 && system.f_flag & 8 != 0
    }()

    @Test(.enabled(if: hasNoExecutionMount))
    func `refuses a base that is mounted noexec`() {
        let error = #expect(throws: RunDirectoryError.self) { try RunDirectory(bases: ["/proc"]) }
        #expect(error?.objections == ["/proc is mounted noexec: no module can be loaded there"])
    }

    /// The number of a process that was and is no more.
    private func processThatEnded() -> pid_t? {
        var process = pid_t()
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
        defer { free(arguments[0]) }
        guard posix_spawnp(&process, "true", nil, nil, arguments, nil) == 0 else { return nil }
        var status: Int32 = 0
        return waitpid(process, &status, 0) == process ? process : nil
    }
}
