import GatewayConfiguration
import Testing

@Suite("gateway.conf: the values")
struct ConfigurationTests {
    @Test func `defaults are those the manual names`() throws {
        let configuration = try #require(Reading("listen 1;").configuration)
        #expect(configuration.threads == .automatic)
        #expect(configuration.mode == .production)
        #expect(configuration.consolePath == nil)
        #expect(configuration.errorLog == ErrorLogConfiguration())
        #expect(configuration.accessLog == AccessLogConfiguration())
        #expect(configuration.maxConnections == 100_000)
        #expect(configuration.handshake.timeoutMilliseconds == 10_000)
        #expect(configuration.handshake.maxHeadBytes == 16384)
        #expect(configuration.handshake.maxHeaders == 100)
        let limits = configuration.limits
        #expect(limits == Limits())
        #expect(limits.maxMessageBytes == 1_048_576)
        #expect(limits.maxFrameBytes == 1_048_576)
        #expect(limits.maxBodyBytes == 65536)
        #expect(limits.pingIntervalMilliseconds == 30_000)
        #expect(limits.pongTimeoutMilliseconds == 20_000)
        #expect(limits.idleTimeoutMilliseconds == nil)
        #expect(limits.closeTimeoutMilliseconds == 5000)
        #expect(limits.sendBufferBytes == 1_048_576)
        #expect(limits.slowConsumer == .close)
        #expect(limits.startTimeoutMilliseconds == 10_000)
        #expect(limits.replyTimeoutMilliseconds == 10_000)
        #expect(limits.reload == .automatic)
        #expect(limits.drainTimeoutMilliseconds == 60_000)
        #expect(limits.probation == nil)
        #expect(configuration.pluginsWatch)
        #expect(configuration.settleMilliseconds == 200)
        #expect(configuration.retain == 8)
        #expect(configuration.controlPath?.hasSuffix("/.gateway.sock") == true)
        #expect(configuration.controlOrigin == nil)
        #expect(configuration.limitOrigins.isEmpty)
    }

    @Test func `relative paths start from the folder of the file`() {
        let text = "listen unix:g.sock; console /; plugins ./P;"
        let configuration = Reading(text, file: "/etc/gateway/gateway.conf").configuration
        #expect(configuration?.pluginsFolder == "/etc/gateway/P")
        #expect(configuration?.listeners.map(\.address) == [.unix(path: "/etc/gateway/g.sock")])
        let standard = Reading("listen 1; console /;", file: "/etc/gateway/gateway.conf").configuration
        #expect(standard?.pluginsFolder == "/etc/gateway/Plugins")
        let here = Reading("listen 1; console /; plugins .;").configuration
        #expect(here?.pluginsFolder.first == "/")
    }

    @Test func `the control socket is in the folder of the file until somebody says otherwise`() {
        let cases: [(text: String, path: String?)] = [
            ("", "/etc/g/.gateway.sock"), ("control unix:c.sock;", "/etc/g/c.sock"), ("control off;", nil),
            ("control unix:/run/c.sock;", "/run/c.sock"),
        ]
        for (text, path) in cases {
            let reading = Reading("listen 1; console /; \(text)", file: "/etc/g/gateway.conf")
            #expect(reading.findings == [])
            #expect(reading.configuration?.controlPath == path)
        }
    }

    @Test func `a folder too deep for a socket costs the control socket and says so`() {
        let folder = "/" + String(repeating: "d", count: 100)
        let reading = Reading("listen 1; console /;", file: folder + "/gateway.conf")
        #expect(reading.configuration?.controlPath == .some(nil))
        #expect(reading.findings.count == 1)
        #expect(reading.findings.first?.contains("there is no control socket") == true)
        #expect(Reading("listen 1; console /; control off;", file: folder + "/g.conf").findings == [])
    }

    @Test(arguments: [
        ("control unix:/run/c.sock; nonsense; listen", "/run/c.sock"),
        ("route /x { control unix:/no; \ncontrol unix:/run/c.sock; }", nil),
        ("nonsense; control unix:/run/c.sock; route {", "/run/c.sock"), ("control off; listen 99999;", ""),
        ("control tcp:1;", nil), ("", nil),
    ])
    func `the control socket is found in a file that is wrong`(_ text: String, _ path: String?) throws {
        let folder = try Folder(["g.conf": text])
        let expected = path ?? folder.path(".gateway.sock")
        #expect(try Configuration.controlPath(ofFile: folder.path("g.conf")) == (expected.isEmpty ? nil : expected))
    }

    @Test func `a file that is not there is an error with its name`() {
        #expect(throws: ConfigurationError.self) { try Configuration.load(file: "/nonexistent/g.conf") }
        do throws(ConfigurationError) {
            _ = try Configuration.load(file: "/nonexistent/g.conf")
        } catch {
            #expect(
                error.rendered()
                    == "/nonexistent/g.conf: error: cannot read the configuration: No such file or directory\n")
        }
    }

    @Test func `the gateway.conf of this repository is valid and says what it claims to be the defaults`() throws {
        let path = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/gateway.conf"
        let loaded = try Configuration.load(file: path)
        #expect(loaded.warnings.isEmpty)
        let configuration = loaded.configuration
        #expect(configuration.listeners.map(\.address) == [.ipv4([127, 0, 0, 1], port: 8080)])
        #expect(configuration.routes.prefix(2).map(\.pattern.description) == ["/echo", "/chat"])
        #expect(configuration.routes.prefix(2).map(\.handler) == ["echo", "chat"])
        #expect(configuration.consolePath == "/")
        #expect(configuration.limits == Limits())
        #expect(configuration.handshake == HandshakeLimits())
        #expect(configuration.maxConnections == 100_000)
        #expect(configuration.pluginsFolder.hasSuffix("/Plugins"))
    }
}
