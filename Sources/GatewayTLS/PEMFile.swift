import COpenSSL
import GatewayIO
import Glibc

/// A file of certificates and keys as text (RFC 7468), as it was when it was read.
struct PEMFile {
    /// More than any chain and key have, and any collection of authorities.
    private static let mostBytes = 1 << 20

    let path: String
    private let bytes: [UInt8]

    init(_ path: String) throws(TLSFailure) {
        self.path = path
        bytes = try Self.bytes(of: path)
    }

    /// What was read otherwise.
    init(text: [UInt8]) {
        path = "the text"
        bytes = text
    }

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

    /// Its certificates in their order, owned by the caller; whatever else stands there is passed over.
    func certificates() throws(TLSFailure) -> [OpaquePointer] {
        var found: [OpaquePointer] = unsafe []
        if bytes.isEmpty { return unsafe found }
        unsafe withSource { source in
            while let next = unsafe PEM_read_bio_X509(source, nil, nil, nil) { unsafe found.append(next) }
        }
        // The end of the text is an error as well.
        let code = ERR_peek_last_error()
        if ERR_GET_LIB(code) == ERR_LIB_PEM, ERR_GET_REASON(code) == PEM_R_NO_START_LINE {
            ERR_clear_error()
            return unsafe found
        }
        unsafe found.forEach { unsafe X509_free($0) }
        throw .fromOpenSSL("certificate number \(unsafe found.count + 1) in \(path) cannot be read")
    }

    /// The first private key, owned by the caller; nil when there is none that is not locked by a password.
    func key() -> OpaquePointer? {
        var found: OpaquePointer?
        unsafe withSource { source in
            // Without a function of ours OpenSSL would ask the terminal for a password.
            unsafe found = PEM_read_bio_PrivateKey(source, nil, { _, _, _, _ in -1 }, nil)
        }
        return unsafe found
    }

    private func withSource(_ body: (OpaquePointer) -> Void) {
        unsafe bytes.withUnsafeBytes {
            guard let source = unsafe BIO_new_mem_buf($0.baseAddress, Int32($0.count)) else { return }
            unsafe body(source)
            unsafe BIO_free(source)
        }
    }
}
