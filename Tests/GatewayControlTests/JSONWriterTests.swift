import GatewayControl
import Testing

@Suite("RFC 8259: what is written is JSON")
struct JSONWriterTests {
    private func json(_ write: (inout JSONWriter) -> Void) -> String {
        var writer = JSONWriter()
        write(&writer)
        return writer.text
    }

    @Test(arguments: [
        ("", #""""#), ("plain", #""plain""#), ("\"\\/", #""\"\\/""#), ("a\nb\r\tc", #""a\nb\r\tc""#),
        ("\u{0}\u{1F}\u{7F}\u{9B}", #""\u0000\u001f\u007f\u009b""#), ("\u{2028}\u{2029}", #""\u2028\u2029""#),
        ("é😀", "\"é😀\""), ("e\u{301}", "\"e\u{301}\""), ("\r\n", #""\r\n""#),
    ])
    func `strings are escaped`(_ string: String, _ expected: String) {
        #expect(json { $0.value(string) } == expected)
        #expect(json { $0.object { $0.member(string, 1) } } == "{\(expected):1}")
    }

    @Test func `numbers, truth and nothing`() {
        #expect(json { $0.value(Int64.min) } == "-9223372036854775808")
        #expect(json { $0.value(UInt64.max) } == "18446744073709551615")
        #expect(json { $0.value(Int?.none) } == "null")
        #expect(json { $0.value(String?.none) } == "null")
        #expect(json { $0.value(true) } == "true")
    }

    @Test func `commas stand between, and nowhere else`() {
        let text = json { writer in
            writer.object { writer in
                writer.member("a", 1)
                writer.name("b")
                writer.array([1, 2]) { $0.value($1) }
                writer.member("c", [String]())
                writer.name("d")
                writer.object { _ in }
                writer.name("e")
                writer.array([[1], [], [2, 3]]) { writer, row in writer.array(row) { $0.value($1) } }
                writer.member("f", false)
                writer.member("g", "x")
            }
        }
        #expect(text == #"{"a":1,"b":[1,2],"c":[],"d":{},"e":[[1],[],[2,3]],"f":false,"g":"x"}"#)
    }
}
