import GatewayConfiguration
import Glibc
import HandlerModules
import Testing

@testable import GatewayServer

@Suite("StateFolders: where the gateway keeps what is its own")
struct StateFoldersTests {
    private func folders(_ line: String = "", _ variables: [String: String] = [:]) throws -> StateFolders {
        let text = "listen 127.0.0.1:0; plugins /p; \(line) route /a { handler a; }"
        return StateFolders(
            try Configuration.parse(text, file: "/etc/gw/gateway.conf").configuration,
            ServiceEnvironment(variables, process: 1))
    }

    @Test("where nothing is said, beside what it is about")
    func nothingSaid() throws {
        let folders = try folders()
        #expect(folders.lastGoodFolder == "/p" && folders.crashFile == "/etc/gw/.gateway.crash")
        #expect(folders.bases == RunDirectory.defaultBases())
        #expect(try folders.make() == nil)
    }

    @Test(
        "where the service manager says something, there; copies of modules rather where nothing outlives the process")
    func manager() throws {
        let folders = try folders("", ["STATE_DIRECTORY": "/var/lib/g", "RUNTIME_DIRECTORY": "/run/g"])
        #expect(folders.lastGoodFolder == "/var/lib/g" && folders.crashFile == "/var/lib/g/.gateway.crash")
        #expect(folders.bases == ["/run/g", "/var/lib/g"] + RunDirectory.defaultBases())
    }

    @Test("what state_dir names is meant, and nothing else will do")
    func named() throws {
        let folders = try folders("state_dir state;", ["STATE_DIRECTORY": "/var/lib/g", "RUNTIME_DIRECTORY": "/run/g"])
        #expect(folders.lastGoodFolder == "/etc/gw/state" && folders.crashFile == "/etc/gw/state/.gateway.crash")
        #expect(folders.bases == ["/etc/gw/state"])
    }

    @Test("a folder that is not there is made, for us alone; one that is there is left as it is")
    func making() throws {
        let path = "/tmp/gateway-state-\(getpid())-\(UInt64.random(in: 0...(.max)))"
        let folders = try folders("state_dir \(path);")
        #expect(try folders.make() == path)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode == S_IFDIR | 0o700)
        #expect(try folders.make() == nil)
        let made = try folders.makeRunDirectory()
        #expect(made.path.hasPrefix(path + "/gateway-"))
        made.remove()
        rmdir(path)
    }

    @Test("what cannot be used is refused with what to do")
    func refusals() throws {
        let missing = #expect(throws: Server.Failure.self) { _ = try folders("state_dir /nowhere/at/all;").make() }
        #expect(missing?.description.contains("is not there and cannot be made: No such file") == true)
        #expect(missing?.description.contains("To do: make it") == true)
        #expect(missing?.description.hasPrefix("/etc/gw/gateway.conf:1:") == true)
        let file = #expect(throws: Server.Failure.self) { _ = try folders("state_dir /dev/null;").make() }
        #expect(file?.description.hasSuffix("/dev/null is no folder") == true)
        let useless = #expect(throws: Server.Failure.self) { _ = try folders("state_dir /proc;").makeRunDirectory() }
        #expect(useless?.description.contains("handlers cannot be loaded from it:\n   /proc ") == true)
    }
}
