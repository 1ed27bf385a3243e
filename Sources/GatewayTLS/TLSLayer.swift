import Bytes
import COpenSSL
package import GatewayIO
import Glibc

/// TLS between a connection and its socket, on either side of it.
///
///     socket ─▶ wire ─▶ OpenSSL ─▶ what the connection reads
///     socket ◀─ wire ◀─ OpenSSL ◀─ what the connection writes
///
/// The handshake happens inside reads. What the kernel does not take of one call's records stays here.
@safe package final class TLSLayer: TransportLayer {
    private enum State {
        case handshaking
        /// Application data goes both ways.
        case open
        /// Our close_notify is out (RFC 8446 6.1: reading goes on).
        case finished
        /// The session broke.
        case failed
        /// The peer speaks HTTP without TLS, and is answered without it.
        case bypassed
    }

    private let session: OpaquePointer
    /// On the server's side its certificates are asked for by the session.
    private let context: TLSContext?
    /// nil on the server's side.
    private let client: TLSClient?
    private let wire: TLSWire
    private var state = State.handshaking {
        didSet { if oldValue == .handshaking, state != .handshaking { endHandshake() } }
    }
    /// There is input for a step of the handshake that may not be made yet.
    private var isHeld = false
    /// Something has come from the peer.
    private var hasHeard = false
    /// The peer's close_notify came.
    private var isPeerFinished = false
    /// What ended the stream of input has not been told yet: data came before it in the same read.
    private var owesEnd = false
    /// A record has been decrypted and not read for want of room.
    private var holds = false
    /// Records that the kernel has not taken.
    private var pending = ByteBuffer()
    /// Received, and not decrypted for want of room.
    private var kept = ByteBuffer()
    private var reason: String?

    /// More than one message of a handshake needs. A connection that owes so much takes nothing more.
    private static let mostPending = 32 * 1024
    /// So much is encrypted before the kernel is offered it.
    private static let portion = 64 * 1024

    /// Nil when there is no memory.
    init?(_ context: TLSContext) {
        guard let wire = TLSWire.ofThread, let session = unsafe context.makeSession() else { return nil }
        (self.context, client, self.wire) = (context, nil, wire)
        unsafe self.session = session
        super.init()
        unsafe wire.attach(session)
        unsafe SSL_set_accept_state(session)
    }

    init(_ client: TLSClient) {
        (context, self.client) = (nil, client)
        guard let wire = TLSWire.ofThread else { fatalError("out of memory for TLS") }
        self.wire = wire
        unsafe session = client.makeSession()
        super.init()
        unsafe wire.attach(session)
        // The ClientHello, which waits for the socket.
        _ = unsafe SSL_do_handshake(session)
        keepOutgoing()
    }

    deinit {
        if let client {
            // OpenSSL forgets the session of a connection that was not shut down.
            unsafe SSL_set_shutdown(session, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
            unsafe client.keepTicket(of: session)
        }
        unsafe SSL_free(session)
    }

    // MARK: What is agreed on

    /// The host that the client asked for (RFC 6066 3); nil when it did not say, or has not yet.
    package var serverName: String? {
        unsafe SSL_get_servername(session, TLSEXT_NAMETYPE_host_name).map { unsafe String(cString: $0) }
    }

    /// Whether an earlier session went on.
    package var isResumed: Bool { unsafe SSL_session_reused(session) == 1 }

    /// The handshake is done: bytes can be written.
    package override var isOpen: Bool { state == .open }

    /// The certificate of the peer is not one to trust.
    package var isUntrusted: Bool { unsafe SSL_get_verify_result(session) != Int(X509_V_OK) }

    package override var security: TransportSecurity? {
        guard let cipher = unsafe SSL_get_current_cipher(session), unsafe SSL_is_init_finished(session) == 1 else {
            return nil
        }
        return unsafe TransportSecurity(
            version: String(cString: SSL_get_version(session)), cipher: String(cString: SSL_CIPHER_get_name(cipher)),
            serverName: serverName ?? "", clientName: clientName)
    }

    /// Whom the client's certificate was issued for, which has been found to hold; a session that goes on has kept it.
    private var clientName: String {
        guard let certificate = unsafe SSL_get0_peer_certificate(session),
            unsafe SSL_get_verify_result(session) == Int(X509_V_OK)
        else { return "" }
        return unsafe CertificateFacts.subject(certificate)
    }

    package override var failure: String? {
        guard let reason = reason ?? (state == .handshaking ? "the handshake was not finished" : nil) else {
            return nil
        }
        return "TLS" + (serverName.map { " for \(PrintableText.escaped($0))" } ?? "") + ": \(reason)"
    }

    package override var isBypassed: Bool { state == .bypassed }

    private func endHandshake() {
        if state == .open {
            leave?.succeeded(version: unsafe String(cString: SSL_get_version(session)), isResumed: isResumed)
        } else {
            leave?.failed(hasHeard: hasHeard)
        }
        leave = nil
    }

    // MARK: In

    package override var hasInput: Bool {
        isHeld || owesEnd || !kept.isEmpty || holds
    }

    package override func read(_ socket: borrowing Socket, into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        if unsafe buffer.isEmpty { return .moved(0) }
        owesEnd = false
        switch state {
        case .bypassed: return unsafe socket.read(into: buffer)
        case .failed: return .failed(Errno(EPROTO))
        case .handshaking:
            isHeld = !(leave?.takesStep() ?? true)
            if isHeld { return .wouldBlock }
        case .open, .finished: break
        }
        if isPeerFinished { return .endOfStream }
        if !holds || !kept.isEmpty {
            if kept.isEmpty {
                // A whole record at least, however little room there is: its rest waits inside OpenSSL.
                let result = wire.receive(from: socket, atMost: max(buffer.count, TLSWire.record + 1024))
                if result == .endOfStream { return cutOff() }
                guard case .moved = result else {
                    // Health checks of proxies leave so: without a word, and with a reset.
                    if case .failed = result, state == .handshaking, !hasHeard { state = .failed }
                    return result
                }
                hasHeard = true
            } else {
                unsafe wire.putIn(UnsafeRawBufferPointer(kept.bytes))
                kept.free()
            }
        }
        let count = unsafe decrypt(into: buffer)
        if unsafe wire.unread.count > 0, state != .failed, !isPeerFinished { unsafe kept.append(wire.unread) }
        wire.dropUnread()
        keepOutgoing()
        if state == .failed || state == .bypassed || isPeerFinished {
            if count > 0 { owesEnd = true } else { return isPeerFinished ? .endOfStream : broken(socket) }
        }
        return count > 0 ? .moved(count) : .wouldBlock
    }

    /// Walks through what was received as far as there is room, the handshake included.
    private func decrypt(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        var filled = 0
        while filled < buffer.count, unsafe holds || wire.unread.count > 0 {
            let room = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = unsafe SSL_read(session, room.baseAddress, Int32(clamping: room.count))
            if state == .handshaking, unsafe SSL_is_init_finished(session) == 1 { state = .open }
            if count > 0 {
                filled += Int(count)
                // OpenSSL gives no more than one record, and keeps of it what the room is too small for.
                holds = unsafe Int(count) == room.count && SSL_pending(session) > 0
                continue
            }
            holds = false
            switch unsafe SSL_get_error(session, count) {
            case SSL_ERROR_WANT_READ: return filled
            case SSL_ERROR_ZERO_RETURN: isPeerFinished = true
            default: fail()
            }
            return filled
        }
        return filled
    }

    private func fail() {
        let code = ERR_peek_error()
        let isHTTP =
            state == .handshaking && ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST
        let isForeign = client != nil && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER
        let isVerification = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED
        reason = isForeign ? "what answers does not speak TLS" : TLSFailure.fromOpenSSL().description
        ERR_clear_error()
        if isVerification, let why = unsafe X509_verify_cert_error_string(SSL_get_verify_result(session)) {
            let verdict = unsafe String(cString: why)
            reason =
                client == nil
                ? "the certificate of the client does not hold: \(verdict)" : reason.map { "\($0): \(verdict)" }
        }
        state = isHTTP ? .bypassed : .failed
        if isHTTP { wire.outgoing.removeAll() }
    }

    /// The session broke; the peer hears OpenSSL's alert, if its socket takes it at once.
    private func broken(_ socket: borrowing Socket) -> IOResult {
        _ = push(socket)
        return .failed(Errno(EPROTO))
    }

    /// The peer's socket ended without close_notify: RFC 8446 6.1 calls what came a truncated stream, since anybody on the way
    /// can have cut it.
    private func cutOff() -> IOResult {
        switch state {
        case .finished: return .endOfStream
        // Who connects and leaves without a word, to see whether somebody is here, has done nothing wrong.
        case .handshaking: reason = hasHeard ? "the peer left in the handshake" : nil
        case .open, .failed, .bypassed: reason = "the stream was cut off, without close_notify"
        }
        state = .failed
        return .failed(Errno(ECONNRESET))
    }

    package override var bytesKept: Int { pending.capacity + kept.capacity }

    // MARK: Out

    package override var isDrained: Bool { pending.isEmpty }

    package override func write(_ socket: borrowing Socket, _ bytes: UnsafeRawBufferPointer) -> IOResult {
        if state == .bypassed { return unsafe socket.write(bytes) }
        if state == .open, pending.isEmpty, 1...TLSWire.record ~= bytes.count {
            unsafe seal(bytes)
            return finishWriting(socket, bytes.count, 0)
        }
        return unsafe withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: 1) { runs in
            unsafe runs.initialize(repeating: bytes)
            return unsafe write(socket, runs: UnsafeBufferPointer(runs))
        }
    }

    package override func write(_ socket: borrowing Socket, runs: UnsafeBufferPointer<UnsafeRawBufferPointer>)
        -> IOResult
    {
        switch state {
        case .bypassed: return unsafe super.write(socket, runs: runs)
        case .handshaking: return .failed(Errno(ENOTCONN))
        case .finished, .failed: return .failed(Errno(EPIPE))
        case .open: break
        }
        if pending.count > Self.mostPending, case let result = push(socket), result != .moved(0) { return result }
        var (taken, gathered) = (0, 0)
        for index in 0..<runs.count {
            var rest = unsafe runs[index]
            while rest.count > 0 {
                let count = unsafe encrypt(rest, &gathered)
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                taken += count
                guard state == .open else { return broken(socket) }
                if wire.outgoing.count >= Self.portion {
                    if case .failed(let error) = push(socket) { return .failed(error) }
                    // What is gathered has been taken and is sent behind it.
                    if !pending.isEmpty { return finishWriting(socket, taken, gathered) }
                }
            }
        }
        return finishWriting(socket, taken, gathered)
    }

    /// Encrypts a part of a run, or gathers it to a record with what comes next: a record has its price.
    ///
    /// - Returns: how many bytes were taken.
    private func encrypt(_ run: UnsafeRawBufferPointer, _ gathered: inout Int) -> Int {
        if gathered == 0, run.count >= TLSWire.record {
            let count = min(run.count, Self.portion) / TLSWire.record * TLSWire.record
            unsafe seal(UnsafeRawBufferPointer(rebasing: run[..<count]))
            return count
        }
        let count = min(run.count, TLSWire.record - gathered)
        unsafe UnsafeMutableRawBufferPointer(rebasing: wire.plain[gathered...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: run[..<count]))
        gathered += count
        if gathered == TLSWire.record {
            unsafe seal(UnsafeRawBufferPointer(wire.plain))
            gathered = 0
        }
        return count
    }

    private func finishWriting(_ socket: borrowing Socket, _ taken: Int, _ gathered: Int) -> IOResult {
        if gathered > 0 { unsafe seal(UnsafeRawBufferPointer(rebasing: wire.plain[..<gathered])) }
        guard state == .open else { return broken(socket) }
        if case .failed(let error) = push(socket) { return .failed(error) }
        return .moved(taken)
    }

    private func seal(_ bytes: UnsafeRawBufferPointer) {
        // The wire takes all of it, so there is no half of a call to be repeated.
        if unsafe SSL_write(session, bytes.baseAddress, Int32(bytes.count)) != Int32(bytes.count) { fail() }
    }

    package override func flush(_ socket: borrowing Socket) -> IOResult { push(socket) }

    /// What OpenSSL says in a read waits for the answer to what was read, and goes with it.
    private func keepOutgoing() {
        guard !wire.outgoing.isEmpty else { return }
        unsafe pending.append(UnsafeRawBufferPointer(wire.outgoing.bytes))
        wire.outgoing.removeAll()
        // A peer that has us update keys or answer alerts, and reads nothing of it.
        if pending.count > Self.mostPending + Self.portion * 4, state != .failed {
            (state, reason) = (.failed, "the peer does not read")
        }
    }

    /// Sends what was kept and what is on the wire.
    ///
    /// - Returns: `.moved(0)` when nothing is left.
    private func push(_ socket: borrowing Socket) -> IOResult {
        if !pending.isEmpty {
            unsafe pending.append(UnsafeRawBufferPointer(wire.outgoing.bytes))
            wire.outgoing.removeAll()
            while !pending.isEmpty {
                let result = unsafe socket.write(UnsafeRawBufferPointer(pending.bytes))
                guard case .moved(let count) = result else { return result }
                pending.removeFirst(count)
            }
            pending.free()
        } else if !wire.outgoing.isEmpty {
            let result = unsafe socket.write(UnsafeRawBufferPointer(wire.outgoing.bytes))
            defer { wire.outgoing.removeAll() }
            var moved = 0
            switch result {
            case .moved(let count): moved = count
            case .wouldBlock: break
            case .endOfStream, .failed: return result
            }
            if moved < wire.outgoing.count {
                unsafe pending.append(UnsafeRawBufferPointer(rebasing: wire.outgoing.bytes[moved...]))
                return .wouldBlock
            }
        }
        return .moved(0)
    }

    package override func finishSending(_ socket: borrowing Socket) {
        if state == .open {
            state = .finished
            // RFC 8446 6.1: a peer that hears no close_notify must take what it got for truncated.
            _ = unsafe SSL_shutdown(session)
            ERR_clear_error()
        }
        // What is kept goes before the end of the stream, when the kernel takes it.
        if push(socket) == .moved(0) { socket.finishSending() }
    }
}
