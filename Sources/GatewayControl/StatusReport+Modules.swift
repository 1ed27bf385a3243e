import CGatewayABI
package import HandlerModules

extension StatusReport.Generation {
    /// What the loaded module says of itself, and what only the control thread knows.
    package init(
        _ generation: Generation, state: State, why: String? = nil, sinceMilliseconds: UInt64, builtAt: Int64? = nil,
        connections: Int, errors: Int = 0, stalls: Int = 0
    ) {
        self.init(
            number: generation.number, state: state, why: why, sinceMilliseconds: sinceMilliseconds,
            digest: generation.digest, file: generation.path, builtAt: builtAt, version: generation.version,
            language: Self.language(sdk: generation.sdk, generation.image), connections: connections, errors: errors,
            stalls: stalls, flags: Self.names(ofFlags: generation.flags))
    }

    /// The kit it was written with says it best; without one the file shows its runtime, and C and its kin have none.
    package static func language(sdk: String = "", _ image: ELFImage) -> String {
        if !sdk.isEmpty { return sdk }
        if image.isGo { return "Go" }
        return image.isSwift ? "Swift runtime" : "C ABI"
    }

    /// The names of the flags in gw_handler.h; what this gateway does not know is a number.
    package static func names(ofFlags flags: UInt32) -> [String] {
        let known: [(Int, String)] = [
            (Int(GW_HF_SERIAL), "serial"), (Int(GW_HF_UNLOAD), "unload"), (Int(GW_HF_NO_UTF8), "no_utf8"),
            (Int(GW_HF_MANUAL_PONG), "manual_pong"), (Int(GW_HF_STATELESS), "stateless"),
            (Int(GW_HF_KEEP_REQUEST), "keep_request"),
        ]
        var rest = Int(flags)
        var names: [String] = []
        for (bit, name) in known where rest & bit != 0 {
            names.append(name)
            rest &= ~bit
        }
        if rest != 0 { names.append("0x" + String(rest, radix: 16)) }
        return names
    }
}
