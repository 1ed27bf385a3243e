import GatewayConfiguration
import Testing
import gateway

@Suite("The configuration of gateway init is one")
struct InitialConfigurationTests {
    @Test(arguments: [true, false])
    func `and changes nothing that is built in but what it means to`(_ hasEcho: Bool) throws {
        let text = InitialConfiguration.text(hasEcho: hasEcho)
        let loaded = try Configuration.parse(text, file: "g.conf", environment: Environment(variables: [:]))
        #expect(loaded.warnings.isEmpty)
        let configuration = loaded.configuration
        #expect(configuration.listeners.map(\.address.description) == ["127.0.0.1:8080"])
        #expect(configuration.routes.map(\.handler) == (hasEcho ? ["echo"] : []))
        #expect(configuration.mode == .development && configuration.consolePath == "/")
        let standard = try Configuration.parse("listen 1; console /;", file: "g.conf").configuration
        #expect(configuration.limits == standard.limits)
        #expect(configuration.errorLog == standard.errorLog && configuration.accessLog == standard.accessLog)
    }

    @Test func `also with what is commented out`() throws {
        let text = InitialConfiguration.text(hasEcho: false)
            .replacing("# listen", with: "listen").replacing("# route", with: "route").replacing(
                "# admin", with: "admin")
        let environment = Environment(variables: ["PORT": "9"])
        let configuration = try Configuration.parse(text, file: "g.conf", environment: environment).configuration
        #expect(configuration.routes.map(\.handler) == ["hello", "rooms", "echo"])
        #expect(configuration.listeners.map(\.address.port) == [9, 8443])
        #expect(configuration.admin != nil)
    }

    @Test func `in lines of a terminal`() {
        let lines = InitialConfiguration.text(hasEcho: true).split(separator: "\n")
        #expect(lines.allSatisfy { $0.count <= 120 })
    }
}
