import GatewayConfiguration
import Testing

@Suite("gateway.conf: words, quotes, comments")
struct LexerTests {
    @Test(arguments: [
        ("a", "a"), ("'a b'", "a b"), ("\"a;b{}#c\"", "a;b{}#c"), ("'it\\'s'", "it's"), ("\"\\\"\"", "\""),
        ("'\\n\\r\\t\\\\'", "\n\r\t\\"), ("''", ""), ("a#b", "a#b"), ("C:\\x", "C:\\x"), ("é☃", "é☃"), ("\"\t\"", "\t"),
    ])
    func `a value is what its quotes and escapes mean`(_ text: String, _ value: String) {
        let route = Reading("listen 1; route /x { handler h; set k \(text); }").configuration?.routes.first
        #expect(route?.settings.map(\.value) == [value])
    }

    @Test(arguments: [
        "listen 1;console /;", "listen\t1\r\n;\r\nconsole\n/\n;", "# a } { ; \" comment\nlisten 1;console /;# end",
        "\u{FEFF}listen 1;console /;",
    ])
    func `blanks, comments and a byte order mark mean nothing`(_ text: String) {
        #expect(Reading(text).configuration?.listeners.map(\.address) == [.any(port: 1)])
    }

    @Test func `a file with NUL, or that is not UTF-8, or too large, is refused as a whole`() {
        let cases: [([UInt8], String)] = [
            (Array("listen 1;\0".utf8), "not a text file (byte 9 is NUL)"),
            ([0x61, 0xC3, 0x28], "not UTF-8 text"),
            ([UInt8](repeating: 0x20, count: 1_048_577), "larger than 1048576 bytes"),
        ]
        for (bytes, reason) in cases {
            #expect(throws: ConfigurationError.self) { try Configuration.parse(bytes, file: "f") }
            do throws(ConfigurationError) {
                _ = try Configuration.parse(bytes, file: "f")
            } catch {
                #expect(error.rendered() == "f: error: cannot read the configuration: \(reason)\n")
            }
        }
        #expect(Reading(String(repeating: " ", count: 1_048_000) + "listen 1; console /;").configuration != nil)
    }

    @Test(arguments: refusedText)
    func `says what is wrong with a word`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let refusedText: [Refusal] = [
    Refusal(
        "a\"b;",
        ["1:2+1 error: quote inside a word (put the whole word in quotes)"]),
    Refusal(
        "\"abc",
        [
            "1:1+4 error: quote is not closed before the end of the line",
            "1:5+1 error: missing \";\" behind \"abc\"",
        ]),
    Refusal(
        "'abc\n';",
        [
            "1:1+4 error: quote is not closed before the end of the line",
            "2:1+2 error: quote is not closed before the end of the line",
            "2:3+1 error: missing \";\" behind \";\"",
        ]),
    Refusal(
        "mode \"a\\qb\";",
        [
            "1:6+6 error: \"mode\" takes \"production\" or \"development\", not \"ab\"",
            "1:8+2 error: unknown escape (known are \\\\ \\\" \\' \\n \\r \\t)",
        ]),
    Refusal(
        "mode \"a\\",
        [
            "1:6+3 error: quote is not closed before the end of the line",
            "1:9+1 error: missing \";\" behind \"a\"",
        ]),
    Refusal(
        "'a'b;",
        [
            "1:1+3 error: the name of a directive does not stand in quotes",
            "1:4+1 error: a space or \";\" is missing behind the quote",
        ]),
    Refusal(
        "threads \u{1}2;",
        [
            "1:9+1 error: control character in the text",
            "1:9+2 error: \"threads\" takes \"auto\" or a number from 1 to 256, not \"�2\"",
        ]),
    Refusal(
        "threads '\u{1}2';",
        ["1:10+1 error: control character in the text"]),
    Refusal(
        "mode 'production' x;",
        ["1:19+1 error: \"mode\" takes one value: \"production\" or \"development\""]),
    Refusal(
        "threads 1;#\u{1}\nthreads\"2\";",
        ["2:8+1 error: quote inside a word (put the whole word in quotes)"]),
]
