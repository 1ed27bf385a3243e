import GatewayTLS

/// Why `gateway dev-cert` cannot go on, in a sentence or two.
struct DevCertFailure: Error {
    let sentence: String

    init(_ sentence: String) { self.sentence = sentence }

    /// What making certificates comes to.
    static func passingOn<Value>(_ work: () throws(TLSFailure) -> Value) throws(DevCertFailure) -> Value {
        do throws(TLSFailure) {
            return try work()
        } catch {
            throw DevCertFailure(error.description)
        }
    }
}
