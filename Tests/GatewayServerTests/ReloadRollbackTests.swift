import GatewayServer
import Glibc
import TestSupport
import Testing

@Suite("Going back to the generation before")
struct ReloadRollbackTests {
    @Test func `gateway rollback hands everything back`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let nothing = try gateway.command(.rollback("counter"))
        #expect(nothing.text == "handler \"counter\": there is no generation to go back to\n")
        #expect(nothing.exit == 75)

        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        #expect(try client.say("b") == "2 2 b")
        // The image of generation 1 is gone by then, its copy is not.
        #expect(try gateway.eventually { try gateway.status().contains("ended") })
        let answer = try gateway.command(.rollback("counter"))
        #expect(answer.timeless == "handler \"counter\": generation 3 is serving, 1 connection moved")
        #expect(answer.exit == 0)
        #expect(try client.say("c") == "1 3 c")
        #expect(try gateway.command(.rollback("counter")).exit == 0)
        #expect(try client.say("d") == "2 4 d")
    }

    @Test func `a generation that fails on probation gives way by itself`() throws {
        let gateway = try ReloadGateway(route: "probation 30s 3;")
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.reload("counter_v2")
        #expect(try client.say("b") == "2 2 b")
        // An upgrade and a request that fail, and an error in a callback, are failures; so many are forgiven.
        #expect(try TestClient(port: gateway.port).get("/counter?fail").status == 500)
        let refused = try TestClient(port: gateway.port)
        try refused.send(TestClient.handshake("/counter?fail"))
        #expect(try refused.response().status == 500)
        #expect(try gateway.connect().receiveClose(after: "fail") == 1011)
        #expect(try client.say("c") == "2 3 c")
        #expect(try gateway.connect().receiveClose(after: "fail") == 1011)
        #expect(try gateway.eventually { try gateway.ask().hasPrefix("1 1 ") })
        #expect(try client.say("d") == "1 4 d")
        #expect(try gateway.status().contains("on probation"))
        // What was gone back to is not on probation: nothing flaps.
        for _ in 0..<5 { #expect(try TestClient(port: gateway.port).get("/counter?fail").status == 500) }
        #expect(try client.say("e") == "1 5 e")
    }

    @Test func `what served last is used when the file is bad at start`() throws {
        let first = try ReloadGateway()
        try first.reload("counter_v2")
        #expect(try first.connect().say("a") == "2 1 a")
        first.stop()
        ReloadGateway.write("no module".utf8, to: first.plugins + "/counter.so")
        let second = try ReloadGateway(nil, after: first)
        #expect(try second.connect().say("a") == "2 1 a")
        // A good file takes over from the copy.
        #expect(try second.reload("counter_v1").exit == 0)
        #expect(try second.connect().say("a") == "1 1 a")
    }
}

extension TestClient {
    /// The code of the Close that comes behind the answer to a text.
    fileprivate func receiveClose(after text: String) throws -> UInt16? {
        try send(text)
        return try receiveAll().last?.closeCode
    }
}
