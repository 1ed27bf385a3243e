import GatewayControl
import Testing

@Suite("Times are UTC, durations have two units")
struct TimestampTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_767_225_599, "2025-12-31T23:59:59Z"),
            (Int64.max, "9999-12-31T23:59:59Z"), (Int64.min, "1970-01-01T00:00:00Z"),
        ] as [(Int64, String)])
    func times(_ seconds: Int64, _ text: String) {
        #expect(Timestamp.iso(seconds) == text)
        #expect(Timestamp.text(seconds) == text.dropLast().replacing("T", with: " ") + " UTC")
    }

    @Test(
        arguments: [
            (0, "0.0s"), (850, "0.8s"), (9_999, "9.9s"), (10_000, "10s"), (59_999, "59s"), (60_000, "1m 0s"),
            (3_599_999, "59m 59s"), (3_600_000, "1h 0m"), (86_399_999, "23h 59m"), (86_400_000, "1d 0h"),
            (UInt64.max, "213503982334d 14h"),
        ] as [(UInt64, String)])
    func durations(_ milliseconds: UInt64, _ text: String) {
        #expect(Timestamp.duration(milliseconds: milliseconds) == text)
    }
}
