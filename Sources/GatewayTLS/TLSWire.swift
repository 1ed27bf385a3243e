import Bytes
import COpenSSL
import GatewayIO
import Glibc

/// What lies between OpenSSL and the sockets of one thread: a buffer for each direction and a BIO over both, shared by
/// all layers of the thread.
///
/// A layer fills and empties them within one call, so that an idle connection holds none; one receive is many records, and
/// many records are one send.
@safe final class TLSWire {
    /// At most so much is received at once.
    static let room = 256 * 1024
    /// The plain bytes of the largest record (RFC 8446 5.1).
    static let record = 16 * 1024

    private let received: UnsafeMutableRawBufferPointer
    /// Of what was received, what OpenSSL has not taken yet.
    private(set) var unread: UnsafeRawBufferPointer
    /// Records that no socket has been given yet.
    var outgoing = ByteBuffer()
    /// Where small runs become one record.
    let plain: UnsafeMutableRawBufferPointer
    /// Reads `unread` and writes `outgoing`.
    private let bio: OpaquePointer

    /// Nil when there is no memory.
    private init?() {
        guard let method = unsafe Self.method.pointer, let bio = unsafe BIO_new(method) else { return nil }
        unsafe received = .allocate(byteCount: Self.room, alignment: 64)
        unsafe plain = .allocate(byteCount: Self.record, alignment: 64)
        unsafe unread = UnsafeRawBufferPointer(start: nil, count: 0)
        unsafe self.bio = bio
        unsafe BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        unsafe BIO_set_init(bio, 1)
    }

    deinit {
        unsafe BIO_free(bio)
        unsafe received.deallocate()
        unsafe plain.deallocate()
    }

    /// That of the calling thread; nil when there is no memory for it.
    static var ofThread: TLSWire? {
        if let known = unsafe pthread_getspecific(key) {
            return unsafe Unmanaged<TLSWire>.fromOpaque(known).takeUnretainedValue()
        }
        guard let made = TLSWire() else { return nil }
        unsafe pthread_setspecific(key, Unmanaged.passRetained(made).toOpaque())
        return made
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let status = unsafe pthread_key_create(&key) { value in
            if let value = unsafe value { unsafe Unmanaged<TLSWire>.fromOpaque(value).release() }
        }
        precondition(status == 0, "no key for what belongs to a thread")
        return key
    }()

    /// Has a session of OpenSSL read and write here.
    func attach(_ session: OpaquePointer) {
        unsafe BIO_up_ref(bio)
        unsafe SSL_set_bio(session, bio, bio)
    }

    /// Receives once, at most so many bytes.
    func receive(from socket: borrowing Socket, atMost count: Int) -> IOResult {
        let result = unsafe socket.read(
            into: UnsafeMutableRawBufferPointer(rebasing: received[..<min(count, Self.room)]))
        if case .moved(let moved) = result { unsafe unread = UnsafeRawBufferPointer(rebasing: received[..<moved]) }
        return result
    }

    /// Puts in what a layer has kept of an earlier receive.
    func putIn(_ kept: UnsafeRawBufferPointer) {
        unsafe received.copyMemory(from: kept)
        unsafe unread = UnsafeRawBufferPointer(rebasing: received[..<kept.count])
    }

    /// Forgets what OpenSSL has not taken.
    func dropUnread() { unsafe unread = UnsafeRawBufferPointer(start: nil, count: 0) }

    // MARK: The BIO

    private func take(into target: UnsafeMutablePointer<CChar>, atMost most: Int32) -> Int32 {
        let count = unsafe min(Int(most), unread.count)
        guard count > 0, let source = unsafe unread.baseAddress else { return -1 }
        unsafe memcpy(target, source, count)
        unsafe unread = UnsafeRawBufferPointer(rebasing: unread[count...])
        return Int32(count)
    }

    /// Calls a function with the wire of a BIO, which outlives the call.
    @inline(__always)
    private static func with(_ bio: OpaquePointer, _ body: (TLSWire) -> Int32) -> Int32 {
        guard let data = unsafe BIO_get_data(bio) else { return -1 }
        return unsafe Unmanaged<TLSWire>.fromOpaque(data)._withUnsafeGuaranteedRef(body)
    }

    /// Never changes once it is made.
    private static let method: SendablePointer<OpaquePointer?> = {
        guard let method = unsafe BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire") else {
            return unsafe SendablePointer(nil)
        }
        unsafe BIO_meth_set_read(method) { bio, target, most in
            guard let bio = unsafe bio, let target = unsafe target else { return -1 }
            unsafe copenssl_clear_retry(bio)
            let count = unsafe TLSWire.with(bio) { unsafe $0.take(into: target, atMost: most) }
            if count < 0 { unsafe copenssl_retry_read(bio) }
            return count
        }
        unsafe BIO_meth_set_write(method) { bio, source, count in
            guard let bio = unsafe bio, let source = unsafe source else { return -1 }
            unsafe copenssl_clear_retry(bio)
            return unsafe TLSWire.with(bio) { wire in
                unsafe wire.outgoing.append(UnsafeRawBufferPointer(start: source, count: Int(count)))
                return count
            }
        }
        // Flushing is the layer's; OpenSSL only has to be told that it is done.
        unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return unsafe SendablePointer(method)
    }()
}
