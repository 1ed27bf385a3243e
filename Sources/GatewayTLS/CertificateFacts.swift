import COpenSSL
import Glibc

/// What stands in a certificate, in words and numbers.
enum CertificateFacts {
    /// Whom it was issued for (RFC 4514), as in "CN=Ada,O=Example".
    static func subject(_ certificate: OpaquePointer) -> String {
        guard let memory = unsafe BIO_new(BIO_s_mem()) else { fatalError("out of memory") }
        defer { unsafe BIO_free(memory) }
        unsafe copenssl_print_name(memory, X509_get_subject_name(certificate))
        var bytes = [UInt8](repeating: 0, count: unsafe BIO_ctrl_pending(memory))
        let count = unsafe BIO_read(memory, &bytes, Int32(clamping: bytes.count))
        return String(decoding: bytes.prefix(Int(max(0, count))), as: UTF8.self)
    }

    /// The first host it was issued for; nil when there is none.
    static func host(_ certificate: OpaquePointer) -> String? {
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = unsafe copenssl_first_host(certificate, &bytes, Int32(bytes.count))
        return count > 0 ? String(decoding: bytes[..<Int(count)], as: UTF8.self) : nil
    }

    /// The last moment of its time, in seconds since 1970.
    static func end(_ certificate: OpaquePointer) -> Int64 {
        var fields = unsafe tm()
        _ = unsafe ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &fields)
        return Int64(unsafe timegm(&fields))
    }

    /// A moment in words.
    static func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        var (fields, room) = unsafe (tm(), [CChar](repeating: 0, count: 32))
        _ = unsafe ASN1_TIME_to_tm(time, &fields)
        let count = unsafe strftime(&room, room.count, "%Y-%m-%d %H:%M:%S UTC", &fields)
        return String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
