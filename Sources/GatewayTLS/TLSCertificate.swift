import Bytes
import COpenSSL
import GatewayIO
import Glibc

/// A certificate with what vouches for it and its private key, read and found fit for use.
@safe package final class TLSCertificate: Sendable {
    /// From the certificate upwards to the one whose signer clients know.
    ///
    /// OpenSSL counts who uses these and the key, on any thread; nothing here changes them.
    private let pointers: [SendablePointer<OpaquePointer>]
    private let keyPointer: SendablePointer<OpaquePointer>

    var chain: [OpaquePointer] { unsafe pointers.map { unsafe $0.pointer } }
    var key: OpaquePointer { unsafe keyPointer.pointer }

    /// More than any chain and key have.
    private static let mostBytes = 1 << 20

    /// Reads PEM files.
    ///
    /// - Parameters:
    ///   - path: the certificate, behind which those that vouch for it may stand.
    ///   - keyPath: nil when the key stands in the same file.
    package init(_ path: String, key keyPath: String? = nil) throws(TLSFailure) {
        let text = try Self.bytes(of: path)
        let keyText = try keyPath.map { path throws(TLSFailure) in try Self.bytes(of: path) } ?? text
        let chain = unsafe Self.certificates(in: text)
        unsafe pointers = chain.map { unsafe SendablePointer($0) }
        guard let key = unsafe Self.key(in: keyText) else {
            unsafe chain.forEach { unsafe X509_free($0) }
            throw .fromOpenSSL("no private key can be read from \(keyPath ?? path)")
        }
        unsafe keyPointer = SendablePointer(key)
        guard let certificate = unsafe chain.first else { throw TLSFailure("there is no certificate in \(path)") }
        guard unsafe X509_check_private_key(certificate, key) == 1 else {
            ERR_clear_error()
            throw TLSFailure("the private key in \(keyPath ?? path) does not belong to the certificate in \(path)")
        }
        // Answers -1 for a time that has passed.
        if unsafe X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0 {
            let begin = unsafe Self.text(X509_get0_notBefore(certificate))
            throw TLSFailure("the certificate in \(path) is not valid before \(begin)")
        }
        if unsafe X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0 {
            throw unsafe TLSFailure(
                "the certificate in \(path) expired at \(Self.text(X509_get0_notAfter(certificate)))")
        }
    }

    deinit {
        unsafe chain.forEach { unsafe X509_free($0) }
        unsafe EVP_PKEY_free(key)
    }

    /// Whether it was issued for a host.
    func covers(_ name: UnsafePointer<CChar>, wildcards: Bool) -> Bool {
        let flags = wildcards ? 0 : UInt32(X509_CHECK_FLAG_NO_WILDCARDS)
        return unsafe X509_check_host(chain[0], name, strlen(name), flags, nil) == 1
    }

    // MARK: Reading

    private static func bytes(of path: String) throws(TLSFailure) -> [UInt8] {
        // Opening a pipe that nobody writes to would wait for ever.
        let file = FileDescriptor(adopting: unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK))
        guard file.number >= 0 else { throw TLSFailure("cannot read \(path): \(Errno.last)") }
        var bytes = [UInt8](repeating: 0, count: mostBytes + 1)
        var count = 0
        while count < bytes.count {
            let part = unsafe bytes.withUnsafeMutableBytes {
                unsafe read(file.number, $0.baseAddress.map { unsafe $0 + count }, $0.count - count)
            }
            if part < 0 { throw TLSFailure("cannot read \(path): \(Errno.last)") }
            if part == 0 { return Array(bytes[..<count]) }
            count += part
        }
        throw TLSFailure("cannot read \(path): it is larger than \(mostBytes) bytes")
    }

    static func certificates(in text: [UInt8]) -> [OpaquePointer] {
        var found: [OpaquePointer] = unsafe []
        unsafe withSource(text) { source in
            while let next = unsafe PEM_read_bio_X509(source, nil, nil, nil) { unsafe found.append(next) }
        }
        // The end of the text is an error as well.
        ERR_clear_error()
        return unsafe found
    }

    static func key(in text: [UInt8]) -> OpaquePointer? {
        var found: OpaquePointer?
        unsafe withSource(text) { source in
            // Without a function of ours OpenSSL would ask the terminal for a password.
            unsafe found = PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        return unsafe found
    }

    private static func withSource(_ text: [UInt8], _ body: (OpaquePointer) -> Void) {
        unsafe text.withUnsafeBytes {
            guard let source = unsafe BIO_new_mem_buf($0.baseAddress, Int32($0.count)) else { return }
            unsafe body(source)
            unsafe BIO_free(source)
        }
    }

    static func text(_ time: UnsafePointer<ASN1_TIME>?) -> String {
        var (fields, room) = unsafe (tm(), [CChar](repeating: 0, count: 32))
        _ = unsafe ASN1_TIME_to_tm(time, &fields)
        let count = unsafe strftime(&room, room.count, "%Y-%m-%d %H:%M:%S UTC", &fields)
        return String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
