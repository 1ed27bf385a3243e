import GatewayServer
import Glibc
import TestSupport
import Testing

@Suite("gateway.conf is read again: only what changed is touched")
struct ReloadConfigurationTests {
    private static let one = "route /counter { handler counter; }\n"

    @Test func `routes are added and removed, and their connections drain`() throws {
        let gateway = try ReloadGateway()
        let stays = try gateway.connect()
        let added = try gateway.configure(
            Self.one + "route /more { handler counter; drain_timeout 2s; set text M; }")
        #expect(added.exit == 0)
        #expect(added.text.hasPrefix("route /more: added, handler \"counter\"\n"))
        let leaves = try gateway.connect(path: "/more")
        #expect([try stays.say("a"), try leaves.say("a")] == ["1 1 a", "1 1 a M"])
        let removed = try gateway.configure(Self.one)
        #expect(removed.text.hasPrefix("route /more: removed from handler \"counter\", its connections drain\n"))
        #expect(try TestClient(port: gateway.port).get("/more").status == 404)
        #expect([try stays.say("b"), try leaves.say("b")] == ["1 2 b", "1 2 b M"])
        #expect(try leaves.receive() == .close(1012, "the handler was replaced"))
        #expect(try stays.say("c") == "1 3 c")
    }

    @Test func `the image stays as long as a route that has left it has connections`() throws {
        let gateway = try ReloadGateway(
            routes: Self.one + "route /more { handler counter; drain_timeout 20s; }")
        let (stays, leaves) = (try gateway.connect(), try gateway.connect(path: "/more"))
        #expect([try stays.say("a"), try leaves.say("a")] == ["1 1 a", "1 1 a"])
        try gateway.configure(Self.one).expectDone()
        // All of generation 1 that still is in the configuration goes, and with it goes its image, but for this.
        try gateway.reload("counter_v2")
        #expect(try stays.say("b") == "2 2 b")
        for round in 2...20 {
            #expect(try leaves.say("b") == "1 \(round) b")
            _ = try gateway.status()
        }
        #expect(try !gateway.status().contains("ended"))
        leaves.close()
        #expect(try eventually { try gateway.status().contains("ended") })
        #expect(try stays.say("c") == "2 3 c")
    }

    @Test func `a route is mapped to another handler`() throws {
        let gateway = try ReloadGateway(others: ["works", "counter_v2"])
        let client = try gateway.connect()
        let answer = try gateway.configure("route /counter { handler counter_v2; drain_timeout 2s; }")
        #expect(answer.exit == 0)
        #expect(try gateway.connect().say("a") == "2 1 a")
        #expect(try client.say("a") == "1 1 a")
    }

    @Test func `other settings make another instance, which takes connections and state over`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        let answer = try gateway.configure("route /counter { handler counter; set text new; }")
        #expect(answer.text.hasPrefix("route /counter: reconfigured\n"))
        #expect(try client.say("b") == "1 2 b new")
        #expect(try gateway.ask() == "1 1 2")
    }

    @Test func `other limits concern those who are there, too`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        #expect(try client.say("a") == "1 1 a")
        try gateway.configure("route /counter { handler counter; max_message 4; }").expectDone()
        #expect(try client.say("1234") == "1 2 1234")
        try client.send("12345")
        #expect(try client.receive().closeCode == 1009)
    }

    @Test func `nothing is touched that did not change`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let answer = try gateway.configure("# a word about it\n\n" + Self.one)
        #expect(answer.exit == 0)
        #expect(
            answer.text == """
                configuration: nothing changed
                handler "counter": the file is identical to generation 1, nothing to do

                """)
        #expect(try client.say("a") == "1 1 a")
    }

    @Test func `what takes effect is said, and what waits for a restart`() throws {
        let gateway = try ReloadGateway()
        let answer = try gateway.configure(
            Self.one, replacing: "threads 2; access_log off;", by: "threads 3; access_log stderr text;")
        #expect(answer.exit == 0)
        #expect(
            answer.text.hasPrefix(
                """
                access_log: off -> stderr text
                threads: stays 2; 3 takes effect when the gateway is started again

                """), "\(answer.text)")
        // Said again as long as it is so; what has taken effect is no news.
        let again = try gateway.command(.reload(nil)).text
        #expect(again.hasPrefix("threads: stays 2; 3 takes effect when"), "\(again)")
        #expect(try gateway.status().contains("threads: stays 2"))
        let limits = try gateway.configure(Self.one, replacing: "defaults {", by: "defaults { max_connections 77;")
        #expect(
            limits.text.hasPrefix("max_connections: 100000 -> 77\naccess_log: stderr text -> off\n"), "\(limits.text)")
        #expect(try gateway.status().contains("77 connections"))
    }

    @Test func `handlers that did not change are one line`() throws {
        let gateway = try ReloadGateway(
            routes: Self.one + "route /x { handler works; }", others: ["works"])
        let answer = try gateway.command(.reload(nil))
        #expect(
            answer.text == """
                configuration: nothing changed
                2 handlers unchanged, their files are identical: counter, works

                """)
    }

    @Test(arguments: [
        ("route /counter { handler counter; max_mesage 4; }", "max_mesage"),
        ("route /counter { handler counter;", "gateway.conf:"),
        ("route /counter { handler counter; set refuse it; }", "it was told to"),
    ])
    func `what is wrong changes nothing and says where`(_ routes: String, _ says: String) throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let socket = "unix:\(gateway.folder)/second.sock"
        let answer = try gateway.configure(
            routes, replacing: "listen 127.0.0.1:0;", by: "listen 127.0.0.1:0; listen \(socket);")
        #expect(answer.exit == 75)
        #expect(answer.text.hasPrefix("configuration refused, nothing was changed"))
        #expect(answer.text.contains(says), "\(answer.text)")
        #expect(access("\(gateway.folder)/second.sock", F_OK) != 0, "nor has it begun to listen elsewhere")
        #expect(try client.say("a") == "1 1 a")
        #expect(try gateway.connect().say("a") == "1 1 a")
    }

    @Test func `listeners come and go, and those that stay are not touched`() throws {
        let gateway = try ReloadGateway()
        let client = try gateway.connect()
        let path = "\(gateway.folder)/second.sock"
        let more = try gateway.configure(
            Self.one, replacing: "listen 127.0.0.1:0;", by: "listen 127.0.0.1:0; listen unix:\(path);")
        #expect(more.text.hasPrefix("listening on unix:\(path)\n"))
        #expect(access(path, F_OK) == 0)
        #expect(try gateway.connect().say("a") == "1 1 a")
        let less = try gateway.configure(Self.one)
        #expect(less.text.hasPrefix("no longer listening on unix:\(path)\n"))
        #expect(eventually { access(path, F_OK) != 0 })
        #expect(try client.say("a") == "1 1 a")
        #expect(try gateway.connect().say("a") == "1 1 a")
    }

    @Test func `a new handler that crashes at start harms nobody`() throws {
        let gateway = try ReloadGateway(others: ["crash_start", "crash_constructor"])
        let client = try gateway.connect()
        for name in ["crash_start", "crash_constructor"] {
            let answer = try gateway.configure(Self.one + "route /bad { handler \(name); }")
            #expect(
                answer.text.contains("route /bad: not served\nhandler \"\(name)\": crashed while "), "\(answer.text)")
            #expect(try TestClient(port: gateway.port).get("/bad").status == 503)
            #expect(try client.say("a").hasSuffix(" a"))
        }
        // A corrected file brings the route into service.
        ReloadGateway.write(ReloadGateway.bytes("counter_v2"), to: gateway.plugins + "/crash_constructor.so")
        try gateway.command(.reload("crash_constructor")).expectDone()
        #expect(try gateway.connect(path: "/bad").say("a") == "2 1 a")
    }

    @Test func `a route leaves while connections of it are between generations`() throws {
        let gateway = try ReloadGateway(
            "counter_stream_v1", routes: Self.one + "route /more { handler counter; drain_timeout 20s; }")
        let (busy, free) = (try gateway.connect(path: "/more"), try gateway.connect(path: "/more"))
        try busy.send(ClientFrame(1, Array("a".utf8), isFinal: false))
        #expect(try busy.hear() == "1 1 a")
        #expect(try free.say("a") == "1 1 a")
        try gateway.reload("counter_stream_v2")
        #expect(try free.say("b") == "2 2 b")
        try gateway.configure(Self.one).expectDone()
        free.close()
        #expect(
            try eventually { try !gateway.status().contains("left it") }, "nobody is with generation 2 there")
        // The instance it was on its way to has been stopped: it stays where it is.
        try busy.send(ClientFrame(0, Array("b".utf8)))
        #expect(try busy.hear() == "1 2 b")
        for round in 3...20 {
            #expect(try busy.say("c") == "1 \(round) c")
            _ = try gateway.status()
        }
    }

    @Test func `an instance is replaced while connections are on their way to it`() throws {
        let gateway = try ReloadGateway("counter_stream_v1")
        let busy = try gateway.connect()
        try busy.send(ClientFrame(1, Array("a".utf8), isFinal: false))
        #expect(try busy.hear() == "1 1 a")
        try gateway.reload("counter_stream_v2")
        try gateway.configure("route /counter { handler counter; set text new; }").expectDone()
        #expect(try eventually { try !gateway.status().contains("left it") })
        try busy.send(ClientFrame(0, Array("b".utf8)))
        #expect(try busy.hear() == "1 2 b")
        #expect(try eventually { try gateway.ask().hasPrefix("2 1 ") })
        #expect(try busy.say("c") == "2 3 c new")
    }

    @Test func `limits change while connections are on their way`() throws {
        let gateway = try ReloadGateway("counter_stream_v1")
        let busy = try gateway.connect()
        try busy.send(ClientFrame(1, Array("a".utf8), isFinal: false))
        #expect(try busy.hear() == "1 1 a")
        try gateway.reload("counter_stream_v2")
        try gateway.configure("route /counter { handler counter; max_message 4; }").expectDone()
        try busy.send(ClientFrame(0, Array("b".utf8)))
        #expect(try busy.hear() == "1 2 b")
        #expect(try eventually { try gateway.ask().hasPrefix("2 1 ") })
        try busy.send("12345")
        #expect(try busy.receiveAll().last?.closeCode == 1009)
    }
}
