import GatewayConfiguration
import Testing

@Suite("gateway.conf: cluster and topics")
struct ClusterConfigurationTests {
    @Test func `by default a gateway is alone, and its topics are for all`() throws {
        let configuration = try #require(Reading(complete("")).configuration)
        #expect(configuration.cluster == nil && configuration.limits.topics == .cluster)
        #expect(try #require(Reading(complete("cluster off;")).configuration).cluster == nil)
    }

    @Test func `a line without a block has the defaults`() throws {
        let cluster = try #require(Reading(complete("cluster nats://127.0.0.1:4222;")).configuration?.cluster)
        #expect(cluster.urls == ["nats://127.0.0.1:4222"] && cluster.prefix == "gateway" && cluster.name == nil)
        #expect(cluster.queueBytes == 64 << 20 && cluster.probeMilliseconds == 5000 && cluster.user == nil)
    }

    @Test func `every value of the block`() throws {
        let text = """
            cluster redis://a:1/2 redis+unix:/run/redis.sock {
                name gw-1; prefix shop; user app; password_file secret; queue 1m; probe 1s;
            }
            """
        let cluster = try #require(Reading(complete(text)).configuration?.cluster)
        #expect(cluster.urls == ["redis://a:1/2", "redis+unix:/run/redis.sock"])
        #expect(cluster.name == "gw-1" && cluster.prefix == "shop" && cluster.user == "app")
        #expect(cluster.passwordFile?.hasSuffix("/secret") == true)
        #expect(cluster.queueBytes == 1 << 20 && cluster.probeMilliseconds == 1000)
    }

    @Test func `topics of a route`() throws {
        let text =
            "listen 1; defaults { topics local; } route /a { handler h; } route /b { handler h; topics cluster; }"
        let routes = try #require(Reading(text).configuration?.routes)
        #expect(routes.map(\.limits.topics) == [.local, .cluster])
    }

    @Test(arguments: [
        "cluster;", "cluster localhost:4222;", "cluster http://a;", "cluster nats:;", "cluster nats://;",
        "cluster nats://a redis://b;", "cluster redis+unix:run;", "cluster off { }", "cluster nats://a { probe 1ms; }",
        "cluster nats://a { queue 1k; }", "cluster nats://a { shards 3; }", "topics local;",
    ])
    func `what is refused`(text: String) {
        #expect(Reading(complete(text)).configuration == nil)
    }

    @Test(
        arguments: [
            ("nats://a:4222", "nats://a:4222"), ("nats://user:secret@a:4222", "nats://user:***@a:4222"),
            ("nats://token@a:4222", "nats://***@a:4222"), ("redis://:secret@a/0", "redis://:***@a/0"),
            ("redis+unix:/run/redis.sock", "redis+unix:/run/redis.sock"),
        ])
    func `a password is shown to nobody`(url: String, shown: String) throws {
        #expect(URLSecret.shortened(url) == shown)
        let configuration = try #require(Reading(complete("cluster \(url);")).configuration)
        #expect(configuration.effectiveText().contains("cluster \(shown) {"))
    }

    @Test(arguments: [(757, "", false), (758, "", true), (758, "topics local;", false), (1000, "", true)])
    func `a route whose topics may have a name that no engine carries is told of`(
        length: Int, inner: String, isTold: Bool
    ) throws {
        let path = "/" + String(repeating: "x", count: length - 1)
        let text = "listen 1; cluster nats://a { prefix 0123456789; } route \(path) { handler h; \(inner) }"
        let warnings = try Configuration.parse(text, file: "gateway.conf").warnings
        #expect(warnings.contains { $0.message.hasPrefix("topics of this route") } == isTold)
    }
}
