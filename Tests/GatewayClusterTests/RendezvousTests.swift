import Testing

@testable import GatewayCluster

struct RendezvousTests {
    private let names = (0..<10_000).map { Array("gateway\u{0}/chat\u{0}room \($0)".utf8) }

    @Test func `each engine has its share, and one more takes its own from all alike`() {
        let urls = ["redis://a:1", "redis://b:1", "redis://c:1"]
        let three = Rendezvous(urls)
        let four = Rendezvous(urls + ["redis://d:1"])
        var shares = [0, 0, 0]
        var moved = 0
        for name in names {
            let (before, after) = (three.index(of: name), four.index(of: name))
            shares[before] += 1
            if before != after {
                #expect(after == 3)
                moved += 1
            }
        }
        for share in shares { #expect((3000...3700).contains(share)) }
        #expect((2200...2800).contains(moved))
    }

    @Test func `the order of the URLs does not matter`() {
        let (one, other) = (["redis://a:1", "redis://b:1"], ["redis://b:1", "redis://a:1"])
        for name in names.prefix(1000) {
            #expect(one[Rendezvous(one).index(of: name)] == other[Rendezvous(other).index(of: name)])
        }
    }

    @Test(arguments: [
        ("redis://a:6379/0", "redis://user:secret@a"), ("redis://a/1", "redis://:x@a:6379/1"),
        ("redis://[::1]", "redis://[::1]:6379/0"),
    ])
    func `an engine is the same however it is written`(one: String, other: String) {
        #expect(Rendezvous.identity(one) == Rendezvous.identity(other))
    }

    @Test func `engines that differ are not the same`() {
        let urls = ["redis://a", "redis://b", "redis://a:1", "redis://a/1", "redis+unix:/a", "redis+unix:/b"]
        #expect(Set(urls.map(Rendezvous.identity)).count == urls.count)
    }
}
