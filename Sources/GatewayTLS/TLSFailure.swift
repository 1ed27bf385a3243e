import COpenSSL

/// Why something about TLS does not work, in words.
package struct TLSFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    /// The first error that OpenSSL has noted on this thread; none is left there.
    static func fromOpenSSL(_ what: String = "") -> TLSFailure {
        let code = ERR_peek_error()
        let reason = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
        ERR_clear_error()
        return TLSFailure((what.isEmpty ? "" : what + ": ") + (reason ?? "no reason given"))
    }
}
