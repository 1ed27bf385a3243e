import COpenSSL
import GatewayIO

/// Why something about TLS does not work, in words.
package struct TLSFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    /// The first error that OpenSSL has noted on this thread; none is left there.
    static func fromOpenSSL(_ what: String = "") -> TLSFailure {
        let code = ERR_peek_error()
        var reason = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) }
        // What the system says has no words of OpenSSL's.
        if ERR_GET_LIB(code) == ERR_LIB_SYS { reason = Errno(ERR_GET_REASON(code)).description }
        ERR_clear_error()
        return TLSFailure((what.isEmpty ? "" : what + ": ") + (reason ?? "no reason given"))
    }
}
