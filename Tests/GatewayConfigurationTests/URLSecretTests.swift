import GatewayConfiguration
import Testing

struct URLSecretTests {
    @Test(
        arguments: [
            ("nats://a:4222", "nats://a:4222"), ("nats://u:secret@a:4222 b", "nats://u:******@a:4222 b"),
            ("cluster nats://token@a; # x@y", "cluster nats://*****@a; # x@y"),
            ("redis://:p@ss:w@a/0 redis://:q@b", "redis://:******@a/0 redis://:*@b"), ("a@b://", "a@b://"),
            ("http://x/?a=b@c", "http://******@c"), ("://@", "://@"), ("", ""),
        ])
    func `all but the secret stays where it is`(text: String, shown: String) {
        #expect(URLSecret.hidden(text) == shown)
        #expect(URLSecret.hidden(text).unicodeScalars.count == text.unicodeScalars.count)
    }

    @Test func `one URL is shortened`() {
        #expect(URLSecret.shortened("nats://user:a very long one@a:1") == "nats://user:a very long one@a:1")
        #expect(URLSecret.shortened("nats://user:longest@a:1") == "nats://user:***@a:1")
        #expect(URLSecret.anonymous("redis://user:x@y@a:1/2") == "redis://a:1/2")
    }
}
