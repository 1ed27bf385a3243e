import GatewayConfiguration
import Testing

@Suite("allow and deny")
struct AddressListTests {
    /// The lists of a route in whose block, and in `defaults`, this stands.
    private func list(_ route: String, defaults: String = "") throws -> AddressList {
        let text = "listen 1; defaults { \(defaults) } route /x { handler h; \(route) }"
        return try #require(Reading(text).configuration?.routes.first?.limits.addresses)
    }

    @Test(arguments: [
        ("10.0.0.66", false), ("10.0.0.65", true), ("11.0.0.1", false), ("::1", true), ("::2", false),
        ("::ffff:10.0.0.66", false), ("::ffff:10.0.0.65", true),
    ])
    func `the first that fits decides`(_ address: String, _ isAllowed: Bool) throws {
        let list = try list("deny 10.0.0.66; allow 10.0.0.0/8 ::1; deny all;")
        #expect(list.allows(NetworkAddress(address)) == isAllowed)
        #expect(!list.allows(nil) && !list.allowsAll)
    }

    @Test func `where none fits all are allowed`() throws {
        let list = try list("deny 10.0.0.0/8;")
        #expect(list.allows(NetworkAddress("11.0.0.1")) && list.allows(nil) && !list.allowsAll)
    }

    @Test func `a route has those of defaults, or only its own`() throws {
        let defaults = "allow 10.0.0.0/8; deny all;"
        let (inside, outside) = (NetworkAddress("10.0.0.1"), NetworkAddress("11.0.0.1"))
        let inherited = try list("", defaults: defaults)
        #expect(inherited.allows(inside) && !inherited.allows(outside))
        let own = try list("deny 10.0.0.1;", defaults: defaults)
        #expect(!own.allows(inside) && own.allows(outside))
        #expect(try list("allow all;", defaults: defaults) == AddressList())
    }

    @Test func `nobody has to be looked at where nobody is kept out`() throws {
        #expect(try list("").allowsAll && list("allow 10.0.0.1; allow all; deny all;").allowsAll)
        #expect(try list("allow 10.0.0.1;").allowsAll && !list("deny 10.0.0.1;").allowsAll)
        #expect(try list("allow unix:; deny 10.0.0.0/8; ").allows(nil))
    }

    @Test(arguments: [
        ("allow 10.0.0.0/8;", ["1:23+5 warning: \"allow\" without \"deny\" has no effect"]),
        ("deny all; allow ::1;", ["1:33+5 warning: \"allow ::1\" behind \"deny all\" has no effect"]),
        ("allow ::1 all 10.0.0.0/8;", ["1:23+5 warning: \"allow 10.0.0.0/8\" behind \"allow all\" has no effect"]),
        ("allow ::1; deny all;", []), ("deny ::1;", []), ("allow all;", []), ("deny all;", []),
    ])
    func `lines that decide nothing are warned of`(_ lines: String, _ findings: [String]) {
        #expect(Reading("route /a { handler h; \(lines) } listen 1;").findings == findings)
    }

    @Test func `are limits with the line that set them`() throws {
        let text =
            "listen 1; defaults { allow ::1; }\nroute /a { handler h; }\nroute /b { handler h;\ndeny ::2; allow all; }"
        let configuration = try #require(Reading(text).configuration)
        let rows = configuration.routes.map { route in
            configuration.limitRows(of: route).filter { ["allow", "deny"].contains($0.name) }
                .map { "\($0.name) \($0.value) \($0.origin.map { "\($0.line)" } ?? "-")" }
        }
        #expect(rows == [["allow ::1 1"], ["deny ::2 4", "allow all 4"]])
    }
}
