/// The version of this program.
package enum GatewayVersion {
    package static let text = "1.0.0"
}
