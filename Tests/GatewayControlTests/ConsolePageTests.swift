import GatewayControl
import Testing

@Suite("The console page embeds routes as data, never as markup")
struct ConsolePageTests {
    /// The text between the tags of the page's data element.
    private func embedded(_ routes: [ConsolePage.Route]) throws -> Substring {
        let page = ConsolePage.html(routes: routes)
        let open = "<script id=\"routes-data\" type=\"application/json\">"
        let start = try #require(page.firstRange(of: open)).upperBound
        let end = try #require(page[start...].firstRange(of: "</script>")).lowerBound
        return page[start..<end]
    }

    @Test func routesAreListedInOrder() throws {
        let json = try embedded([("/echo", "echo", "serving"), ("/rooms/:room", "chat", "not found")])
        #expect(
            json == #"[{"pattern":"/echo","handler":"echo","state":"serving"},"#
                + #"{"pattern":"/rooms/:room","handler":"chat","state":"not found"}]"#)
    }

    @Test func noRoutesIsAnEmptyArray() throws {
        #expect(try embedded([]) == "[]")
    }

    @Test(arguments: [
        ("</script><script>alert(1)", "\\u003c/script\\u003e\\u003cscript\\u003ealert(1)"),
        ("<!--", "\\u003c!--"),
        ("a \"quoted\" \\ word", "a \\\"quoted\\\" \\\\ word"),
        ("line\u{2028}line\u{2029}", "line\\u2028line\\u2029"),
        ("tab\tnew\nline\r\0", "tab\\u0009new\\u000aline\\u000d\\u0000"),
        ("a&b", "a\\u0026b"),
        ("Grüße 🎈", "Grüße 🎈"),
    ])
    func textFromHandlersStaysText(state: String, expected: String) throws {
        let json = try embedded([("/", "x", state)])
        #expect(json == "[{\"pattern\":\"/\",\"handler\":\"x\",\"state\":\"\(expected)\"}]")
    }

    @Test func thePageKnowsWhereTLSIsSpoken() {
        #expect(ConsolePage.html(routes: [], securePort: 8443).contains("<html lang=\"en\" data-secure-port=\"8443\">"))
        #expect(!ConsolePage.html(routes: []).contains("data-secure-port="))
    }

    @Test func thePageNeedsNothingButItself() {
        let page = ConsolePage.html(routes: [("/echo", "echo", "serving")])
        for outside in ["src=\"", "href=\"http", "@import", "url(", "innerHTML", "eval("] {
            #expect(!page.contains(outside), "\(outside)")
        }
        #expect(page.hasPrefix("<!doctype html>\n<html lang=\"en\">\n"))
        #expect(page.contains("default-src 'none'"))
    }
}
