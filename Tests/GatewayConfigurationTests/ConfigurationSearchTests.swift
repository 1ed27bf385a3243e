import GatewayConfiguration
import Testing

@Suite("Finding gateway.conf: -c, $GATEWAY_CONF, ./gateway.conf, /etc/gateway/gateway.conf")
struct ConfigurationSearchTests {
    struct Case: Sendable {
        var option: String?
        var environment: String?
        var existing: [String]
        var found: String?
    }

    @Test(arguments: [
        Case(option: "a.conf", environment: "b.conf", existing: ["gateway.conf"], found: "a.conf"),
        Case(option: nil, environment: "b.conf", existing: ["gateway.conf"], found: "b.conf"),
        Case(option: nil, environment: "", existing: ["gateway.conf"], found: "gateway.conf"),
        Case(
            option: nil, environment: nil, existing: ["/etc/gateway/gateway.conf", "gateway.conf"],
            found: "gateway.conf"),
        Case(
            option: nil, environment: nil, existing: ["/etc/gateway/gateway.conf"], found: "/etc/gateway/gateway.conf"),
        Case(option: nil, environment: nil, existing: [], found: nil),
    ])
    func `takes the first that was named, else the first that exists`(_ row: Case) {
        let found = ConfigurationSearch.file(option: row.option, environment: row.environment) { path in
            row.existing.contains(path)
        }
        #expect(found == row.found)
    }
}
