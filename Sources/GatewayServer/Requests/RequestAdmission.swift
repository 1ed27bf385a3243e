import GatewayConfiguration
import HTTP

extension OriginPolicy {
    /// Whether the page that a handshake comes from may connect.
    func admits(_ head: RequestHead) -> Bool {
        // Programs send none, and that is all that has to be known of them.
        guard head.first("origin") != nil else { return !isRequired }
        let span = head.bytes.span
        let origins = head.fields.filter { span.equals("origin", in: $0.name) }.map { head.bytes[$0.value] }
        return admits(origins, host: head.bytes[head.host ?? 0..<0])
    }
}
