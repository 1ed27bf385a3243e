import HandlerModules
import Testing

@Suite("The digest is XXH64 with seed 0")
struct ContentDigestTests {
    struct Case: CustomTestStringConvertible {
        let text: String
        let digest: UInt64
        var testDescription: String { "\(text.utf8.count) bytes" }
    }

    /// From the reference implementation.
    static let cases = [
        Case(text: "", digest: 0xEF46_DB37_51D8_E999),
        Case(text: "a", digest: 0xD24E_C4F1_A98C_6E5B),
        Case(text: "abc", digest: 0x44BC_2CF5_AD77_0999),
        Case(text: "message digest", digest: 0x066E_D728_FCEE_B3BE),
        Case(text: "abcdefghijklmnopqrstuvwxyz", digest: 0xCFE1_F278_FA89_835C),
        Case(
            text: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", digest: 0xAAA4_6907_D304_7814),
        Case(
            text: "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            digest: 0xE04A_477F_19EE_145D),
    ]

    @Test(arguments: cases)
    func `agrees with published values`(_ example: Case) {
        let bytes = Array(example.text.utf8)
        var digest = ContentDigest()
        digest.update(bytes, count: bytes.count)
        let tail = bytes.count - bytes.count % ContentDigest.stripe
        #expect(digest.finish(tail: bytes[tail...]) == example.digest)
    }

    @Test func `does not depend on how whole stripes are cut`() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var whole = ContentDigest()
        whole.update(bytes, count: bytes.count)
        var parts = ContentDigest()
        for start in stride(from: 0, to: 288, by: 96) { parts.update(Array(bytes[start..<start + 96]), count: 96) }
        #expect(whole.finish(tail: bytes[288...]) == parts.finish(tail: bytes[288...]))
    }
}
