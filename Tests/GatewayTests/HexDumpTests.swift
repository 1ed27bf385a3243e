import Testing
import gateway

@Suite("Bytes are shown, and read, in hex")
struct HexDumpTests {
    @Test func `sixteen a row`() {
        let rows = HexDump.text(Array(0..<18)).split(separator: "\n")
        #expect(
            rows == [
                "00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  ................",
                "00000010  10 11                                             ..",
            ])
    }

    @Test func `a long one ends with a note`() {
        let text = HexDump.text([UInt8](repeating: 0x41, count: 40), atMost: 32)
        #expect(text.split(separator: "\n").count == 3)
        #expect(text.hasSuffix("AAAAAAAAAAAAAAAA\n... 8 more bytes"))
    }

    @Test(arguments: [("", []), ("00", [0]), ("0a fF", [10, 255]), ("0 0", [0])] as [(String, [UInt8])])
    func `digits are read`(_ text: String, _ bytes: [UInt8]) {
        #expect(HexDump.bytes(text) == bytes)
    }

    @Test(arguments: ["0", "0g", "é1", "000", "１２"])
    func `what is none is not`(_ text: String) {
        #expect(HexDump.bytes(text) == nil)
    }
}
