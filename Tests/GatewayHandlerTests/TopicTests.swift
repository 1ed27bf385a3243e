import CGatewayABI
import GatewayHandler
import Synchronization
import Testing

private final class Broadcaster: ReactiveHandler, GapHandler {
    private let gateway: Gateway
    init(_ context: borrowing StartContext) { gateway = context.gateway }

    func opened(_ connection: Connection, _ request: borrowing Request) {
        connection.subscribe(to: "news")
        connection.unsubscribe(from: Topic("all", isGlobal: true))
    }
    func message(_ connection: Connection, _ message: borrowing Message) {
        let result =
            message.kind == .text
            ? gateway.publish(message.text ?? "", to: "news", except: connection)
            : gateway.publish(message.bytes, to: Topic("all", isGlobal: true))
        connection.log(.debug, "\(result.result) \(result.reached)")
    }
    func gap(in topic: String?) { gateway.publish("again", to: Topic(topic ?? "news"), local: true) }
}

@Suite("topics")
struct TopicTests {
    @Test func `reach the gateway whole`() {
        let driven = Driven(Broadcaster.self)
        driven.host.set { $0.hasTopics = true }
        driven.open(1)
        driven.text(1, "hé")
        driven.binary(1, [1, 2])
        let isGlobal = UInt32(GW_GLOBAL_TOPIC)
        #expect(
            driven.host.deeds == [
                .subscribe(1, "news", 0), .unsubscribe(1, "all", isGlobal),
                .publish("news", 0, kind: 1, [104, 0xC3, 0xA9], except: 1),
                .publish("all", isGlobal, kind: 2, [1, 2], except: 0),
            ])
    }

    @Test func `may have a gap, which those here are told of`() {
        let driven = Driven(Broadcaster.self)
        driven.host.set { $0.hasTopics = true }
        driven.event(GW_EV_GAP, data: "tea")
        driven.event(GW_EV_GAP)
        let isLocal = UInt32(GW_LOCAL_TOPIC), again = Array("again".utf8)
        #expect(
            driven.host.deeds == [
                .publish("tea", isLocal, kind: 1, again, except: 0),
                .publish("news", isLocal, kind: 1, again, except: 0),
            ])
    }

    @Test func `say how many are reached`() {
        let driven = Driven(Broadcaster.self)
        driven.host.set { $0.hasTopics = true }
        driven.text(1, "a")
        #expect(driven.host.calls.last == .log(1, 1, "sent 7"))
    }

    @Test func `are "unsupported" where the gateway has none`() {
        let driven = Driven(Broadcaster.self)
        driven.text(1, "a")
        #expect(driven.host.calls == [.log(1, 1, "unsupported 7")])
    }
}
