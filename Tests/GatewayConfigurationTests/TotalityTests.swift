import GatewayConfiguration
import Testing

@Suite("gateway.conf: whatever the text is, reading it ends in a value or an error, never in a trap")
struct TotalityTests {
    private static let sample = """
        # a comment
        listen 8080; listen [::1]:0; listen 'unix:/run/a b';
        threads auto; plugins "./Pl\\"ug\\\\ins" { watch off; }
        mode development; console /c%2fé; error_log stderr warn; access_log off;
        defaults { max_message 1m; max_frame 64k; ping_interval off; idle_timeout 90s; compression off; }
        route /rooms/:room/* { handler chat; subprotocols a.b c; set k 'v ☃'; max_connections 5; }
        include /nonexistent/*.conf;
        """

    /// Reads and renders everything, so that no part of it is left out.
    private func read(_ bytes: [UInt8]) -> Bool {
        do throws(ConfigurationError) {
            let loaded = try Configuration.parse(bytes, file: "gateway.conf")
            let printed = loaded.configuration.effectiveText()
            let again = try Configuration.parse(printed, file: "gateway.conf")
            return again.configuration.routes.count == loaded.configuration.routes.count
        } catch {
            return !error.rendered(colour: true).isEmpty && error.diagnostics.contains { $0.severity == .error }
        }
    }

    @Test func `the sample is valid`() throws {
        #expect(try Configuration.parse(Self.sample, file: "gateway.conf").warnings.isEmpty)
    }

    @Test func `cut at every byte`() {
        let bytes = Array(Self.sample.utf8)
        for count in 0...bytes.count { #expect(read(Array(bytes[..<count])), "cut at \(count)") }
    }

    @Test func `without each byte, and with each byte replaced by what the grammar cares about`() {
        let bytes = Array(Self.sample.utf8)
        for index in bytes.indices {
            var shorter = bytes
            shorter.remove(at: index)
            #expect(read(shorter), "without \(index)")
            for replacement in "{};\"'\\#*:%\n".utf8 {
                var changed = bytes
                changed[index] = replacement
                #expect(read(changed), "\(replacement) at \(index)")
            }
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `three hundred random mutations of each seed`(_ seed: UInt64) {
        var generator = SplitMix(state: seed)
        let interesting = Array("{};\"'\\#*:%/.\n\t 0919kmgsdh\u{80}".utf8) + [0, 0xFF, 0x7F]
        for round in 0..<300 {
            var bytes = Array(Self.sample.utf8)
            for _ in 0..<Int.random(in: 1...12, using: &generator) where !bytes.isEmpty {
                let index = Int.random(in: bytes.indices, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] = interesting.randomElement(using: &generator) ?? 0
                case 1: bytes.insert(UInt8.random(in: .min ... .max, using: &generator), at: index)
                case 2: bytes.removeSubrange(index..<min(bytes.count, index + 5))
                default: bytes.insert(contentsOf: bytes[index...].prefix(20), at: index)
                }
            }
            #expect(read(bytes), "seed \(seed), round \(round)")
        }
    }

    @Test(arguments: [
        "{", "}", "a{", "a{}", ";", "\"", "'a' ", "a ", "include x;", "route /a { handler h; }\n", "listen 0;",
    ])
    func `a great many of the same`(_ part: String) {
        #expect(read(Array(String(repeating: part, count: 20_000).utf8)))
    }
}

/// A generator that gives the same numbers for the same seed, so that a failure can be repeated.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
