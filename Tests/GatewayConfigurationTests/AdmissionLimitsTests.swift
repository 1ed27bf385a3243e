import GatewayConfiguration
import Testing

@Suite("gateway.conf: what one address may have")
struct AdmissionLimitsTests {
    @Test(arguments: [
        ("20/s burst 50", "20/s burst 50"), ("20/s", "20/s burst 20"), ("1/m burst 1", "1/m burst 1"),
        ("1000000/h", "1000000/h burst 1000000"),
    ])
    func `a rate is read, and written in one form`(_ text: String, _ written: String) {
        let reading = Reading(complete("defaults { handshake_rate \(text); }"))
        #expect(reading.configuration?.admission.handshakeRate?.description == written)
    }

    @Test func `those of the gateway are not those of a route`() throws {
        let text = """
            listen 1; defaults { max_connections_per_ip 5; handshake_rate 1/s; }
            route /a { handler h; } route /b { handler h; max_connections_per_ip 2; handshake_rate 3/s; }
            """
        let configuration = try #require(Reading(text).configuration)
        #expect(configuration.admission.connectionsPerAddress == 5)
        #expect(configuration.routes.map(\.admission.connectionsPerAddress) == [nil, 2])
        #expect(configuration.routes.map(\.admission.handshakeRate?.count) == [nil, 3])
        #expect(configuration.routes[0].admission.isOff && !configuration.routes[1].admission.isOff)
        let rows = configuration.limitRows(of: configuration.routes[1])
        #expect(rows.first { $0.name == "handshake_rate" }?.value == "3/s burst 3")
        #expect(rows.first { $0.name == "max_connections_per_ip" }?.value == "2")
    }

    @Test(arguments: [
        Refusal(
            "defaults { handshake_rate; }",
            [
                "1:12+14 error: \"handshake_rate\" needs \"off\", or a rate such as 20/s and perhaps \"burst\" and a number"
            ]),
        Refusal("defaults { handshake_rate 20; }", ["1:27+2 error: \"20\" is no rate, such as 20/s, 100/m or 1000/h"]),
        Refusal(
            "defaults { handshake_rate 20/d; }", ["1:27+4 error: \"20/d\" is no rate, such as 20/s, 100/m or 1000/h"]),
        Refusal(
            "defaults { handshake_rate 0/s; }",
            [
                "1:27+3 error: \"0/s\" has no number of handshakes from 1 to 1000000"
            ]),
        Refusal(
            "defaults { handshake_rate 1000001/s; }",
            [
                "1:27+9 error: \"1000001/s\" has no number of handshakes from 1 to 1000000"
            ]),
        Refusal(
            "defaults { handshake_rate 1/s bursts 3; }", ["1:31+6 error: \"bursts\" is not \"burst\" and a number"]),
        Refusal("defaults { handshake_rate 1/s burst; }", ["1:31+5 error: \"burst\" needs a number"]),
        Refusal(
            "defaults { handshake_rate 1/s burst 0; }",
            [
                "1:37+1 error: \"0\" has no number of handshakes from 1 to 1000000"
            ]),
        Refusal("defaults { handshake_rate 1/s burst 2 3; }", ["1:39+1 error: \"3\" is unexpected"]),
        Refusal(
            "defaults { max_connections_per_ip 0; }",
            [
                "1:35+1 error: \"0\" is out of range for \"max_connections_per_ip\" (1 to 10000000)"
            ]),
    ])
    func `is refused with the place and what is legal`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}
