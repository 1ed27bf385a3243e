import Testing
import gateway

@Suite("JSON is read, and written for people")
struct JSONValueTests {
    @Test(arguments: [
        "null", "true", "0", "-1.5e+10", "[]", "{}", "[1, [2, {}]]", #"{"a": 1, "b": [true, null]}"#, #""é\n\"""#,
        #"{"": "x", "": "y"}"#, "1234567890123456789012345678901234567890",
    ])
    func `comes back as it was`(_ text: String) throws {
        #expect(JSONPrinter.text(try #require(JSONValue(text.utf8))) == text)
    }

    @Test(arguments: [
        "", " ", "nul", "truex", "01", "1.", "-", ".5", "1e", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}",
        "{\"a\":1,}",
        "\"", "\"\\x\"", "\"\\u12\"", "\"\n\"", "1 2", "[", "{", "+1", "'a'", "\"\\", "[1]]",
    ])
    func `what is none is not read`(_ text: String) {
        #expect(JSONValue(text.utf8) == nil)
    }

    @Test func `bytes that are not UTF-8, and depth without end, are not read`() {
        #expect(JSONValue([0x22, 0xC3, 0x22] as [UInt8]) == nil)
        #expect(JSONValue(String(repeating: "[", count: 100_000).utf8) == nil)
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(JSONValue(deep.utf8) != nil)
    }

    @Test(arguments: [
        (#""\u00e9\t\/""#, "é\t/"), (#""\ud83d\ude80""#, "🚀"), (#""\ud83dx""#, "\u{FFFD}x"), (#""\udc00""#, "\u{FFFD}"),
        (#""\ud83dA""#, "\u{FFFD}A"),
    ])
    func `escapes are what they mean`(_ text: String, _ string: String) {
        #expect(JSONValue(text.utf8)?.string == string)
    }

    @Test func `members, elements and numbers are found`() throws {
        let value = try #require(JSONValue(#"{"a": [1, 2.5], "b": {"c": "x"}, "d": false}"#.utf8))
        #expect(value["a"]?.elements.compactMap(\.number) == [1, 2.5])
        #expect(value["b"]?["c"]?.string == "x" && value["d"]?.truth == false)
        #expect(value["e"] == nil && value["a"]?["b"] == nil)
    }

    @Test func `what is long is spread over lines`() throws {
        let text = #"{"name": "a value that has some length", "list": [1, 2, 3], "inner": {"key": "yet another text"}}"#
        let printed = JSONPrinter.text(try #require(JSONValue(text.utf8)))
        #expect(
            printed == """
                {
                  "name": "a value that has some length",
                  "list": [1, 2, 3],
                  "inner": {"key": "yet another text"}
                }
                """)
    }

    @Test func `nothing in a string drives the terminal, and colours are marks around it`() throws {
        let value = try #require(JSONValue(#"["\u001b[2J", "\u009b", 1]"#.utf8))
        #expect(JSONPrinter.text(value) == #"["\u001b[2J", "\u009b", 1]"#)
        #expect(JSONPrinter.text(.number("7"), colour: true) == "\u{1B}[33m7\u{1B}[0m")
    }
}
