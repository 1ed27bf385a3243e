import Testing
import gateway

@Suite("A line is edited with the keys that shells have")
struct LineEditorTests {
    /// Feeds keys: `^X` is a control key, `<` and `>` are arrows, `{` and `}` Home and End, `U` and `D` up and down.
    private func feed(_ keys: String, to editor: inout LineEditor) -> [LineEditor.Outcome] {
        var outcomes: [LineEditor.Outcome] = []
        var isControl = false
        for character in keys {
            let bytes: [UInt8]
            switch character {
            case "^" where !isControl:
                isControl = true
                continue
            case _ where isControl: bytes = [(character.asciiValue ?? 0) & 0x1F]
            case "<": bytes = Array("\u{1B}[D".utf8)
            case ">": bytes = Array("\u{1B}[C".utf8)
            case "{": bytes = Array("\u{1B}[H".utf8)
            case "}": bytes = Array("\u{1B}OF".utf8)
            case "↑": bytes = Array("\u{1B}[A".utf8)
            case "↓": bytes = Array("\u{1B}[B".utf8)
            case "⌦": bytes = Array("\u{1B}[3~".utf8)
            case "⌫": bytes = [0x7F]
            case "⇤": bytes = Array("\u{1B}[1;5D".utf8)
            case "⇥": bytes = Array("\u{1B}f".utf8)
            case "⏎": bytes = [0x0D]
            default: bytes = Array(String(character).utf8)
            }
            isControl = false
            for byte in bytes { outcomes.append(editor.feed(byte)) }
        }
        return outcomes.filter { $0 != .edited }
    }

    @Test(arguments: [
        ("abc", "abc"), ("abc⌫", "ab"), ("⌫a", "a"), ("ac<b", "abc"), ("bc{a", "abc"), ("bc{a}d", "abcd"),
        ("ab<<<<>x", "axb"), ("abc<⌦", "ab"), ("abc⌦", "abc"), ("bc^Aa^Ed", "abcd"), ("abc<^U", "c"), ("abc<<^K", "a"),
        ("one two  ^W", "one "), ("^W", ""), ("one two⇤x", "one xtwo"), ("one two{⇥x", "onex two"), ("abc^C", ""),
        ("ab<^D", "a"), ("é☃👩‍🚀⌫", "é☃"), ("a\tb", "a\tb"), ("a^G", "a"), ("e\u{301}⌫", ""), ("a↑b↓c", "abc"),
    ])
    func `what stands there`(_ keys: String, _ text: String) {
        var editor = LineEditor()
        #expect(feed(keys, to: &editor) == [])
        #expect(editor.text == text)
    }

    @Test func `lines, ends and other wishes`() {
        var editor = LineEditor()
        #expect(feed("ab⏎⏎", to: &editor) == [.line("ab"), .line("")])
        #expect(feed("^C^D^L", to: &editor) == [.interrupt, .endOfInput, .clearScreen])
        #expect(feed("x^C^C", to: &editor) == [.interrupt], "the first one only empties the line")
    }

    @Test func `what was sent before comes back`() {
        var editor = LineEditor(history: ["one", "two"])
        let lines = [("↑⏎", "two"), ("↑↑⏎", "one"), ("↑↑↑⏎", "one"), ("new↑↓!⏎", "new!"), ("↑x⏎", "twox")]
        for (keys, line) in lines { #expect(feed(keys, to: &editor) == [.line(line)]) }
        editor.remember("three")
        editor.remember("three")
        #expect(feed("↑↑⏎", to: &editor) == [.line("two")])
    }

    @Test func `what is pasted is text, its lines included`() {
        var editor = LineEditor()
        var outcomes: [LineEditor.Outcome] = []
        for byte in "\u{1B}[200~a\nb\u{3}\u{1B}[201~\r".utf8 { outcomes.append(editor.feed(byte)) }
        #expect(outcomes.last == .line("a\nb"))
    }

    @Test func `bytes that are no character, and keys that nobody knows, leave nothing`() {
        var editor = LineEditor()
        for byte: UInt8 in [0xC3, 0x41, 0xFF, 0x80, 0xE2, 0x98] { _ = editor.feed(byte) }
        #expect(editor.text == "A")
        for byte in "\u{1B}[99;99Z\u{1B}[1;2;3;4;5;6;7;8;9;9;9;9;9~x".utf8 { _ = editor.feed(byte) }
        #expect(editor.text.hasSuffix("x") && editor.text.hasPrefix("A"))
    }

    @Test(arguments: [
        ("abc", 10, "abc", 3), ("abcdefghij", 6, "fghij", 5), ("abcdefghij{", 6, "abcde", 0), ("日本語", 10, "日本語", 6),
        ("日本語", 6, "本語", 4), ("a\tb", 9, "a b", 3), ("", 5, "", 0), ("abc", 1, "c", 1), ("ab<", 9, "ab", 1),
    ])
    func `is shown around the cursor`(_ keys: String, _ width: Int, _ text: String, _ column: Int) {
        var editor = LineEditor()
        _ = feed(keys, to: &editor)
        let shown = editor.shown(width: width)
        #expect(shown.text == text && shown.column == column)
    }
}
