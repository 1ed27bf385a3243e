import WebSocket

/// Text is text by all three judges: at once, piece by piece, and the standard library.
func tryUTF8(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    var cuts = Cuts(&input)
    let text = input.all()
    let atOnce = text.withUnsafeBytes { UTF8Checker.isValid($0) }
    precondition(atOnce == (String(validating: text, as: UTF8.self) != nil), "the standard library sees it otherwise")
    var (checker, taken, isText) = (UTF8Checker(), 0, true)
    while taken < text.count, isText {
        let count = cuts.next(of: text.count - taken)
        isText = text[taken..<taken + count].withUnsafeBytes { checker.accept($0) }
        taken += count
    }
    precondition(atOnce == (isText && checker.isComplete), "in pieces it is seen otherwise")
    return 0
}
