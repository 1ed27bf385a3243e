import CGatewayABI

/// A version of gw_handler.h as it stands in tables: the major number in the upper 16 bits.
package struct ABIVersion: Equatable, Sendable {
    package let number: UInt32

    package init(number: UInt32) {
        self.number = number
    }

    /// What this gateway speaks.
    package static var current: ABIVersion {
        ABIVersion(number: UInt32(GW_ABI_MAJOR) << 16 | UInt32(GW_ABI_MINOR))
    }

    package var major: UInt32 { number >> 16 }
    package var minor: UInt32 { number & 0xFFFF }
}

extension ABIVersion: CustomStringConvertible {
    package var description: String { "\(major).\(minor)" }
}
