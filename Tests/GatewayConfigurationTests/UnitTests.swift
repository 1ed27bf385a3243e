import GatewayConfiguration
import Testing

@Suite("gateway.conf: durations and sizes")
struct UnitTests {
    @Test(arguments: [
        ("512", 512), ("1k", 1024), ("64K", 65536), ("1m", 1_048_576), ("1g", 1_073_741_824), ("007", 7),
    ])
    func `sizes are bytes`(_ text: String, _ bytes: Int) {
        let configuration = Reading(complete("defaults { max_message \(text); }")).configuration
        #expect(configuration?.limits.maxMessageBytes == bytes)
    }

    @Test(arguments: [
        ("1ms", 1), ("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("1h", 3_600_000), ("1d", 86_400_000),
    ])
    func `durations are milliseconds`(_ text: String, _ milliseconds: Int64) {
        let configuration = Reading(complete("defaults { idle_timeout \(text); }")).configuration
        #expect(configuration?.limits.idleTimeoutMilliseconds == milliseconds)
    }

    @Test(arguments: refusedNumbers)
    func `refuses what is no number`(_ refusal: Refusal) {
        #expect(Reading(complete(refusal.text)).findings == refusal.findings)
    }
}

private let refusedNumbers: [Refusal] = [
    Refusal(
        "defaults { max_message 1mb; }",
        ["1:24+3 error: unknown unit \"mb\" in \"1mb\" (k, m or g)"]),
    Refusal(
        "defaults { max_message -1; }",
        ["1:24+2 error: \"-1\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message +1; }",
        ["1:24+2 error: \"+1\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 1.5m; }",
        ["1:24+4 error: \"1.5m\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message m; }",
        ["1:24+1 error: \"m\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 1 m; }",
        ["1:26+1 error: \"max_message\" takes one value: a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 1m1; }",
        ["1:24+3 error: \"1m1\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 99999999999999999999; }",
        ["1:24+20 error: \"99999999999999999999\" is out of range for \"max_message\" (1 to 1g)"]),
    Refusal(
        "defaults { max_message 9999999999999999g; }",
        ["1:24+17 error: \"9999999999999999g\" is out of range for \"max_message\" (1 to 1g)"]),
    Refusal(
        "defaults { max_message 0x10; }",
        ["1:24+4 error: \"0x10\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message ''; }",
        ["1:24+2 error: \"\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { max_message 1_000; }",
        ["1:24+5 error: \"1_000\" is not a size such as 512, 64k or 1m"]),
    Refusal(
        "defaults { ping_interval 30; }",
        ["1:26+2 error: \"30\" has no unit (ms, s, m, h or d)"]),
    Refusal(
        "defaults { ping_interval 30sec; }",
        ["1:26+5 error: unknown unit \"sec\" in \"30sec\" (ms, s, m, h or d)"]),
    Refusal(
        "defaults { ping_interval 30S; }",
        ["1:26+3 error: unknown unit \"S\" in \"30S\" (ms, s, m, h or d)"]),
    Refusal(
        "defaults { ping_interval 1.5s; }",
        ["1:26+4 error: \"1.5s\" is not a duration such as 200ms, 30s or 5m, or \"off\""]),
    Refusal(
        "defaults { ping_interval 30µs; }",
        ["1:26+4 error: \"30µs\" is not a duration such as 200ms, 30s or 5m, or \"off\""]),
    Refusal(
        "defaults { ping_interval 99999999999999999999s; }",
        ["1:26+21 error: \"99999999999999999999s\" is out of range for \"ping_interval\" (1ms to 1d)"]),
    Refusal(
        "defaults { ping_interval 9223372036854775807d; }",
        ["1:26+20 error: \"9223372036854775807d\" is out of range for \"ping_interval\" (1ms to 1d)"]),
    Refusal(
        "defaults { ping_interval s; }",
        ["1:26+1 error: \"s\" is not a duration such as 200ms, 30s or 5m, or \"off\""]),
]
