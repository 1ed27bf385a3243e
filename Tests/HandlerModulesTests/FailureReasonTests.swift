import HandlerModules
import Testing

@Suite("What a handler says is kept short and harmless")
struct FailureReasonTests {
    private func taken(_ bytes: [CChar], length: Int? = nil) -> String? {
        let note = FailureReason()
        note.record(bytes, length: length ?? bytes.count)
        let text = note.take()
        #expect(note.take() == nil, "taken once")
        return text
    }

    @Test func `keeps what is printable`() {
        #expect(taken("no licence".utf8.map { CChar(bitPattern: $0) }) == "no licence")
        #expect(taken("a\u{1B}[31m\nb\0".utf8.map { CChar(bitPattern: $0) }) == "a [31m b ")
        #expect(taken([CChar(bitPattern: 0xFF), 0x61]) == "\u{FFFD}a")
    }

    @Test func `cuts what is long, and takes nothing for nothing`() {
        #expect(taken([CChar](repeating: 0x61, count: 5000))?.utf8.count == FailureReason.longest)
        #expect(taken([0x61], length: 0) == nil)
        #expect(taken([0x61], length: -1) == nil)
        let note = FailureReason()
        note.record(nil, length: 10)
        #expect(note.take() == nil)
    }
}
