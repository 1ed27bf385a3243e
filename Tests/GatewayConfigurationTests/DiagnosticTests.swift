import GatewayConfiguration
import Testing

@Suite("gateway.conf: errors show file, line, column, the line, and a caret")
struct DiagnosticTests {
    private func rendered(_ text: String, colour: Bool = false) -> String {
        do throws(ConfigurationError) {
            return try Configuration.parse(text, file: "gateway.conf").warnings
                .map { $0.rendered(colour: colour) }.joined()
        } catch {
            return error.rendered(colour: colour)
        }
    }

    @Test func `a misspelled name is underlined and the right one suggested`() {
        let text = "listen 1;" + String(repeating: "\n", count: 12) + "defaults {\n    max_mesage 1m;\n}\n"
        #expect(
            rendered("\n" + text.dropFirst(0)) == """
                gateway.conf:15:5: error: unknown directive "max_mesage" (did you mean "max_message"?)
                   15 |     max_mesage 1m;
                      |     ^~~~~~~~~~

                """)
    }

    @Test func `a missing semicolon is pointed at behind the word`() {
        #expect(
            rendered("listen 8080\nthreads 2;\nconsole /;") == """
                gateway.conf:1:12: error: missing ";" behind "8080"
                    1 | listen 8080
                      |            ^

                """)
    }

    @Test func `tabs are repeated, characters are counted as people do, notes follow`() {
        #expect(
            rendered("listen 1;\nroute /x { handler h;\tset é 1; max_head é; }") == """
                gateway.conf:2:32: error: "max_head" is not allowed in a route, only in "defaults"
                    2 | route /x { handler h;\tset é 1; max_head é; }
                      |                      \t         ^~~~~~~~
                   It acts before the route of a request is known.

                """)
    }

    @Test func `findings about a file as a whole have no line`() {
        #expect(
            rendered("console /;") == """
                gateway.conf: error: there is no "listen", so nobody could connect
                   Add a line such as: listen 8080;

                """)
    }

    @Test func `warnings look the same`() {
        #expect(
            rendered("listen 1; console /; defaults { max_frame 2m; }") == """
                gateway.conf:1:33: warning: "max_frame" above "max_message" has no effect (it is 1m here)
                    1 | listen 1; console /; defaults { max_frame 2m; }
                      |                                 ^~~~~~~~~
                   A frame is part of a message, so the smaller limit is the one that counts.

                """)
    }

    @Test func `colour is added and nothing else changes`() {
        let text = "threads 0; lisen 1;"
        let coloured = rendered(text, colour: true)
        #expect(coloured.contains("\u{1B}[1;31merror:\u{1B}[0m"))
        #expect(coloured.replacing(/\u{1B}\[[0-9;]*m/, with: "") == rendered(text))
    }

    @Test func `control characters and endless lines do not reach the terminal`() {
        let hostile = rendered("threads \u{1B}[2J; # \u{202E}\n")
        #expect(!hostile.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x202E })
        let long = rendered(String(repeating: " ", count: 500_000) + String(repeating: "x", count: 500_000) + ";")
        #expect(long.utf8.count < 2000)
        #expect(long.contains("gateway.conf:1:500001: error: unknown directive \"xxx"))
        #expect(long.contains("      | " + String(repeating: " ", count: 49) + "^~~"))
    }
}
