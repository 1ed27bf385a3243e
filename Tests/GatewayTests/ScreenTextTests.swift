import Testing
import gateway

@Suite("Text takes exactly the columns it is given")
struct ScreenTextTests {
    @Test(arguments: [
        ("abc", 5, "abc  ", "  abc"), ("abc", 3, "abc", "abc"), ("abcd", 3, "ab…", "ab…"), ("", 2, "  ", "  "),
        ("日本語", 4, "日… ", "日… "), ("日本", 4, "日本", "日本"), ("a\u{1B}b", 4, "a\u{FFFD}b ", " a\u{FFFD}b"),
        ("abc", 1, "…", "…"), ("abc", 0, "", ""),
    ])
    func `filled up, or cut`(_ text: String, _ width: Int, _ left: String, _ right: String) {
        #expect(ScreenText.fitted(text, width) == left)
        #expect(ScreenText.fitted(text, width, atRight: true) == right)
        #expect(ScreenText.width(left) == width)
    }

    @Test(arguments: [("é", 1), ("e\u{301}", 1), ("한", 2), ("🚀", 2), ("\n", 1), ("ab", 2), ("", 0)])
    func `and characters have a width`(_ text: String, _ width: Int) {
        #expect(ScreenText.width(text) == width)
    }
}
