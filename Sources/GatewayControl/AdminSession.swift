import COpenSSL
import Glibc

/// What a browser keeps of a token that was shown once: a cookie that says until when, and proves that by a MAC whose
/// key is the token. The gateway keeps nothing, so that a restart signs nobody out, and another token everybody.
struct AdminSession {
    /// Seconds that one lasts.
    static let lifetime: Int64 = 7 * 86_400
    private static let purpose = "gateway dashboard until "

    /// The name of the cookie. Cookies know no ports, and there may be a gateway at each.
    static func cookieName(port: String) -> String { "gateway-session-\(port)" }

    /// A value for the cookie; nil where the library has no HMAC.
    static func value(_ token: BearerToken, now: Int64) -> String? {
        let end = String(now + lifetime)
        return proof(of: end, token).map { "\(end).\($0)" }
    }

    /// Whether a value was made with the token, and not too long ago.
    static func isValid(_ value: [UInt8], _ token: BearerToken, now: Int64) -> Bool {
        let parts = value.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2 else { return false }
        let text = String(decoding: parts[0], as: UTF8.self)
        guard let end = Int64(text), String(end) == text, now < end, end <= now + lifetime,
            let wanted = proof(of: text, token)
        else { return false }
        let (shown, expected) = (Array(parts[1]), Array(wanted.utf8))
        // How long that takes does not tell how much of it was right.
        guard shown.count == expected.count else { return false }
        return unsafe CRYPTO_memcmp(shown, expected, expected.count) == 0
    }

    /// HMAC-SHA-256 in hexadecimal.
    private static func proof(of end: String, _ token: BearerToken) -> String? {
        let text = Array((purpose + end).utf8)
        var code = [UInt8](repeating: 0, count: 32)
        var length = 0
        // It reads key and text, writes 32 bytes, and keeps none of the pointers.
        let made = unsafe EVP_Q_mac(
            nil, "HMAC", nil, "SHA256", nil, token.bytes, token.bytes.count, text, text.count, &code, code.count,
            &length)
        guard unsafe made != nil, length == code.count else { return nil }
        return code.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0\(digits)" : digits
        }.joined()
    }
}
