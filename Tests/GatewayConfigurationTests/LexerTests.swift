import GatewayConfiguration
import Testing

@Suite("gateway.conf: words, quotes, comments")
struct LexerTests {
    @Test(arguments: [
        ("a", "a"), ("'a b'", "a b"), ("\"a;b{}#c\"", "a;b{}#c"), ("'it\\'s'", "it's"), ("\"\\\"\"", "\""),
        ("'\\n\\r\\t\\\\'", "\n\r\t\\"), ("''", ""), ("a#b", "a#b"), ("C:\\x", "C:\\x"), ("a$b", "a$b"), ("$$", "$$"),
        ("'${x}'", "${x}"), ("\"\\${x}\"", "${x}"), ("é☃", "é☃"), ("\"\t\"", "\t"),
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

    private static let environment = Environment(variables: [
        "PORT": "8080", "EMPTY": "", "TWO": "a b;{}#\"", "_x9": "é", "NAME": "${PORT}",
    ])

    private func setting(_ text: String) throws -> String? {
        let text = "listen 1; route /x { handler h; set k \(text); }"
        return try Configuration.parse(text, file: "f", environment: Self.environment).configuration.routes[0].settings
            .first?.value
    }

    @Test(arguments: [
        ("${PORT}", "8080"), ("a${PORT}b", "a8080b"), ("\"a ${PORT} b\"", "a 8080 b"), ("${_x9}", "é"),
        ("${NONE:-80}", "80"), ("${NONE:-}", ""), ("${EMPTY}", ""), ("${EMPTY:-x}", "x"), ("${PORT:-9}", "8080"),
        ("${NONE:-unix:/run/g.sock}", "unix:/run/g.sock"), ("${PORT}${PORT}", "80808080"), ("$${PORT}", "$8080"),
        // A value is part of its word, whatever is in it, and no variable of its own.
        ("${TWO}", "a b;{}#\""), ("\"${TWO}\"", "a b;{}#\""), ("${NAME}", "${PORT}"), ("${NONE:-a b;}", "a b;"),
        ("'${PORT}'", "${PORT}"), ("\"\\${PORT}\"", "${PORT}"),
    ])
    func `a variable is a part of its word`(_ text: String, _ value: String) throws {
        #expect(try setting(text) == value)
    }

    @Test(arguments: [
        ("threads ${NONE};", ["1:9+7 error: the environment variable \"NONE\" is not set"]),
        ("threads é${NONE};", ["1:10+7 error: the environment variable \"NONE\" is not set"]),
        (
            "threads \"${A} ${B:-x} ${C}\";",
            [
                "1:10+4 error: the environment variable \"A\" is not set",
                "1:23+4 error: the environment variable \"C\" is not set",
            ]
        ),
        ("threads ${2};", ["1:9+4 error: \"${2}\" is no environment variable"]),
        ("threads ${};", ["1:9+3 error: \"${}\" is no environment variable"]),
        ("threads ${A-B};", ["1:9+6 error: \"${A-B}\" is no environment variable"]),
        ("threads ${A:-${B}};", ["1:9+9 error: \"${A:-${B}\" is no environment variable"]),
        ("threads \"${A\";", ["1:10+3 error: \"${\" is not closed by \"}\""]),
    ])
    func `says what is wrong with a variable`(_ text: String, _ findings: [String]) throws {
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(complete(text), file: "gateway.conf", environment: Environment(variables: [:]))
        }
        // What follows from it may be said as well, where the end of a variable is in doubt.
        #expect(error?.diagnostics.map(\.summary).starts(with: findings) == true)
    }

    @Test func `a name does not come from the environment, and what is no variable is told`() throws {
        let environment = Environment(variables: ["NAME": "threads"])
        let error = #expect(throws: ConfigurationError.self) {
            try Configuration.parse(complete("${NAME} 2;"), file: "gateway.conf", environment: environment)
        }
        #expect(
            error?.diagnostics.map(\.summary) == [
                "1:1+7 error: the name of a directive does not come from the environment"
            ])
        let loaded = try Configuration.parse("listen 1; route /x { handler h; set k $NAME; }", file: "gateway.conf")
        #expect(loaded.warnings.map(\.summary) == ["1:39+5 warning: \"$NAME\" is taken as it is written"])
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
            "1:8+2 error: unknown escape (known are \\\\ \\\" \\' \\$ \\n \\r \\t)",
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
