import GatewayConfiguration
import Testing

@Suite("which route a host and a path have")
struct HostRouterTests {
    private static let text = """
        listen 1;
        host *.example.com { route /ws { handler h; } route /any { handler h; } route /a/* { handler h; } }
        route /ws { handler h; } route /a/:b { handler h; } route /plain { handler h; }
        host api.example.com { route /ws { handler h; } route /own { handler h; } }
        host *.eu.example.com { route /ws { handler h; } }
        """

    @Test(arguments: [
        ("api.example.com", "/ws", "api.example.com/ws"), ("API.example.com.", "/ws", "api.example.com/ws"),
        ("api.example.com", "/own", "api.example.com/own"), ("api.example.com", "/any", "*.example.com/any"),
        ("api.example.com", "/plain", "/plain"), ("www.example.com", "/ws", "*.example.com/ws"),
        ("www.example.com", "/own", nil), ("x.eu.example.com", "/ws", "*.eu.example.com/ws"),
        ("x.eu.example.com", "/any", "*.example.com/any"), ("eu.example.com", "/ws", "*.example.com/ws"),
        ("example.com", "/ws", "/ws"), ("example.com", "/any", nil), ("evil.example", "/ws", "/ws"), ("", "/ws", "/ws"),
        // The host comes before how well the path fits.
        ("www.example.com", "/a/b", "*.example.com/a/*"), ("other", "/a/b", "/a/:b"),
    ])
    func `the closest host first, then those outside`(_ host: String, _ path: String, _ name: String?) throws {
        let configuration = try #require(Reading(Self.text).configuration)
        let router = HostRouter(configuration.routes)
        let bytes = Array(path.utf8)
        let slashes = bytes.indices.filter { bytes[$0] == UInt8(ascii: "/") }
        let segments = zip(slashes, slashes.dropFirst() + [bytes.count]).map { $0 + 1..<$1 }
        let match = router.match(host: Array(host.utf8)[...], path: bytes, segments: segments)
        #expect(match.map { configuration.routes[$0.route].name } == name)
    }
}
