import Bytes
import COpenSSL
import GatewayIO
import Glibc
import Synchronization

/// The keys of tickets, in which clients keep their sessions (RFC 8446 4.6.1, RFC 5077): the same ones for all workers,
/// over reloads and changes of certificates, so that a session goes on wherever its client comes back.
///
///     made ── encrypts for an hour ── decrypts for a day ──▶ forgotten
///
/// Whoever gets hold of a key can read what its hour began, and no more. Any thread.
@safe package final class TicketKeys: Sendable {
    /// Those of this process.
    package static let ofProcess = TicketKeys { Clock.monotonicNanoseconds() / 1_000_000_000 }

    /// Seconds that a key encrypts.
    package static let hour: UInt64 = 3600
    /// Seconds that it decrypts, counted from its making: so no ticket is taken that is older.
    package static let day: UInt64 = 24 * hour
    /// Seconds that every ticket is good for, however late in the hour of its key it was given out.
    static let ticketLifetime = day - hour

    /// A name of 16 bytes, then keys for HMAC-SHA-256 and AES-256 of 32 bytes each.
    @safe private final class Key: Sendable {
        static let nameLength = 16
        private static let length = nameLength + 64

        let madeAt: UInt64
        private let memory: SendablePointer<UnsafeMutablePointer<UInt8>>

        init(at now: UInt64) {
            madeAt = now
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: Self.length)
            precondition(unsafe RAND_bytes(bytes, Int32(Self.length)) == 1, "OpenSSL has no random bytes")
            unsafe memory = unsafe SendablePointer(bytes)
        }

        deinit {
            unsafe OPENSSL_cleanse(memory.pointer, Self.length)
            unsafe memory.pointer.deallocate()
        }

        var name: UnsafePointer<UInt8> { unsafe UnsafePointer(memory.pointer) }
        var secrets: UnsafePointer<UInt8> { unsafe UnsafePointer(memory.pointer + Self.nameLength) }
    }

    private let clock: @Sendable () -> UInt64
    /// The newest first.
    private let keys = Mutex<[Key]>([])

    /// - Parameter clock: seconds that only grow.
    package init(clock: @escaping @Sendable () -> UInt64) { self.clock = clock }

    /// Has the tickets of a context made and read with these keys, which have to outlive it.
    func serve(_ context: OpaquePointer) {
        unsafe SSL_CTX_set_ex_data(context, Self.index, Unmanaged.passUnretained(self).toOpaque())
        unsafe copenssl_on_ticket(context, Self.callback)
        unsafe SSL_CTX_set_timeout(context, Int(Self.ticketLifetime))
    }

    /// The one that encrypts now.
    private func encrypting() -> Key {
        let now = clock()
        return keys.withLock { keys in
            keys.removeAll { now >= $0.madeAt + Self.day }
            if let newest = keys.first, now < newest.madeAt + Self.hour { return newest }
            let made = Key(at: now)
            keys.insert(made, at: 0)
            return made
        }
    }

    /// The one that a ticket names, and whether it still encrypts; nil when it is forgotten or was never ours.
    private func decrypting(_ name: UnsafePointer<UInt8>) -> (key: Key, isCurrent: Bool)? {
        let now = clock()
        return keys.withLock { keys in
            let found = keys.first { unsafe CRYPTO_memcmp($0.name, name, Key.nameLength) == 0 }
            guard let found, now < found.madeAt + Self.day else { return nil }
            return (found, now < found.madeAt + Self.hour)
        }
    }

    // MARK: What OpenSSL asks

    /// Where a context of OpenSSL remembers its keys.
    private static let index = copenssl_context_index()

    private typealias Callback =
        @convention(c) (
            OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt8>?, OpaquePointer?, OpaquePointer?,
            Int32
        ) -> Int32

    /// Answers 1 for fine, 2 for fine but the client is to have a new ticket, 0 for a ticket of no use, -1 for failure.
    private static let callback: Callback = { session, name, vector, cipher, mac, encrypts in
        guard let context = unsafe SSL_get_SSL_CTX(session), let name = unsafe name, let vector = unsafe vector,
            let owner = unsafe SSL_CTX_get_ex_data(context, index)
        else { return -1 }
        let keys = unsafe Unmanaged<TicketKeys>.fromOpaque(owner).takeUnretainedValue()
        if encrypts == 1 {
            let key = keys.encrypting()
            unsafe name.update(from: key.name, count: Key.nameLength)
            guard unsafe RAND_bytes(vector, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 else { return -1 }
            return unsafe copenssl_begin_ticket(cipher, mac, key.secrets, vector, 1) == 1 ? 1 : -1
        }
        guard let (key, isCurrent) = unsafe keys.decrypting(name) else { return 0 }
        guard unsafe copenssl_begin_ticket(cipher, mac, key.secrets, vector, 0) == 1 else { return -1 }
        return isCurrent ? 1 : 2
    }
}
