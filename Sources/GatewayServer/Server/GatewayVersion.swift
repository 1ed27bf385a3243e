/// The version of this program.
package enum GatewayVersion {
    package static let text = "1.0.0"
    /// When it was released, as the manual says it.
    package static let date = "2026-11-27"
}
