import GatewayConfiguration
import Testing

@Suite("origin: which pages may connect")
struct OriginPolicyTests {
    /// Whether a policy admits a request to `a.example:8080` with these lines of `Origin`.
    private func admits(_ policy: String, _ origins: String..., host: String = "a.example:8080") throws -> Bool {
        let policy = try OriginPolicy(policy.split(separator: " ").map { String($0) })
        return policy.admits(origins.map { Array($0.utf8)[...] }, host: Array(host.utf8)[...])
    }

    @Test(arguments: [
        ("http://a.example:8080", "a.example:8080", true), ("https://a.example:8080", "a.example:8080", true),
        ("http://A.EXAMPLE:8080", "a.Example:8080", true), ("http://a.example", "a.example", true),
        ("https://a.example", "a.example", true), ("https://a.example", "a.example:443", true),
        ("http://a.example", "a.example:80", true), ("http://a.example:80", "a.example", true),
        ("http://[::1]:8080", "[0:0::1]:8080", true), ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
        ("http://a.example:8081", "a.example:8080", false), ("http://a.example", "a.example:443", false),
        ("https://a.example", "a.example:80", false), ("http://b.a.example:8080", "a.example:8080", false),
        ("http://xa.example:8080", "a.example:8080", false), ("http://a.example.evil:8080", "a.example:8080", false),
        ("null", "a.example:8080", false), ("null", "null", false), ("file://", "a.example", false),
        ("capacitor://localhost", "localhost", false), ("http://127.0.0.1", "[::ffff:127.0.0.1]", false),
        ("http://a.example:8080/", "a.example:8080", false), ("", "a.example", false),
        ("http://a.example:8080", "", false),
    ])
    func `of the same host, a missing port being that of the scheme`(
        _ origin: String, _ host: String, _ isAdmitted: Bool
    ) throws {
        #expect(try admits("same-host", origin, host: host) == isAdmitted)
        #expect(try admits("any", origin, host: host))
    }

    @Test(arguments: [
        ("https://b.example", true), ("https://b.example:443", true), ("http://b.example", false),
        ("https://b.example:444", false), ("https://x.b.example", false), ("https://x.c.example", true),
        ("https://x.y.c.example", true), ("https://X.C.Example", true), ("https://c.example", false),
        ("https://.c.example", false), ("https://xc.example", false), ("https://x.c.example.evil", false),
        ("https://x.c.example:8443", false), ("https://d.example:8443", true), ("https://d.example", false),
        ("http://x.e.example:81", true), ("http://x.e.example", false), ("http://[::1]:3000", true),
        ("http://[::2]:3000", false), ("http://a.example:8080", false), ("null", false), ("app://one", true),
    ])
    func `of a list, with any number of labels for a wildcard`(_ origin: String, _ isAdmitted: Bool) throws {
        let list =
            "https://b.example https://*.c.example https://d.example:8443 http://*.e.example:81 http://[::1]:3000 app://one"
        #expect(try admits(list, origin) == isAdmitted)
        #expect(try admits("same-host " + list, origin) == (isAdmitted || origin == "http://a.example:8080"))
    }

    @Test(arguments: ["any", "same-host", "https://b.example"])
    func `programs send none, unless one is required`(_ policy: String) throws {
        #expect(try admits(policy))
        #expect(try !admits(policy + " required"))
    }

    @Test func `several lines are refused, also of what would be fine by itself`() throws {
        #expect(try admits("https://b.example", "https://b.example"))
        #expect(try !admits("https://b.example", "https://b.example", "https://b.example"))
        #expect(try !admits("same-host", "http://a.example:8080", "http://a.example:8080"))
    }

    @Test(arguments: [
        "any", "any required", "same-host", "same-host required", "https://b.example", "https://*.b.example:8443",
        "same-host https://b.example http://[::1]:3000 required",
    ])
    func `is written as it is read`(_ text: String) throws {
        let words = text.split(separator: " ").map { String($0) }
        #expect(try OriginPolicy(words).description == text)
    }

    @Test func `same-host is the default, and what required alone means`() throws {
        #expect(OriginPolicy().description == "same-host")
        #expect(try OriginPolicy(["required"]).description == "same-host required")
    }

    @Test(arguments: [
        Refusal(
            "defaults { origin; }",
            [
                "1:12+6 error: \"origin\" needs any, same-host or origins such as https://example.com, and perhaps required"
            ]),
        Refusal("defaults { origin same-hots; }", ["1:19+9 error: \"same-hots\" is no origin"]),
        Refusal("defaults { origin null; }", ["1:19+4 error: \"null\" cannot be allowed"]),
        Refusal("defaults { origin any same-host; }", ["1:19+3 error: \"any\" allows whatever else is listed"]),
        Refusal("defaults { origin https://a any; }", ["1:29+3 error: \"any\" allows whatever else is listed"]),
        Refusal("defaults { origin *.a.example; }", ["1:19+11 error: \"*.a.example\" is no origin"]),
        Refusal("defaults { origin https://a/; }", ["1:19+10 error: \"https://a/\" is no origin"]),
        Refusal("defaults { origin https://*; }", ["1:19+9 error: \"https://*\" is no origin"]),
        Refusal("defaults { origin https://*.[::1]; }", ["1:19+15 error: \"https://*.[::1]\" is no origin"]),
        Refusal("route /x { handler h; origin \"https://a b\"; }", ["1:30+13 error: \"https://a b\" is no origin"]),
    ])
    func `what is none is refused, with its place`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }

    @Test func `a route takes that of defaults, or has its own`() {
        let text = """
            listen 1; defaults { origin https://a.example; } route /a { handler h; }
            route /b { handler h; origin any; }
            """
        let routes = Reading(text).configuration?.routes.map(\.limits.origin.description)
        #expect(routes == ["https://a.example", "any"])
    }
}
