import CLinux
import GatewayIO
import Glibc

/// The address of a destination as the kernel wants it.
struct Address {
    private let storage: sockaddr_storage
    private let length: socklen_t

    /// Looks the host up; the first address counts.
    init(_ destination: Destination) throws(LoadUsageError) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(destination.host, String(destination.port), &hints, &list)
        guard code == 0, let first = unsafe list, let name = unsafe first.pointee.ai_addr else {
            let reason = unsafe code == 0 ? "no address" : String(cString: gai_strerror(code))
            throw LoadUsageError("\"\(destination.host)\": \(reason)")
        }
        defer { unsafe freeaddrinfo(first) }
        var storage = sockaddr_storage()
        let length = unsafe min(first.pointee.ai_addrlen, socklen_t(MemoryLayout<sockaddr_storage>.size))
        unsafe withUnsafeMutableBytes(of: &storage) { room in
            unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: name, count: Int(length)))
        }
        self.storage = storage
        self.length = length
    }

    /// A socket that is connecting, or already connected.
    func connect() throws(Errno) -> Socket {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let number = Glibc.socket(Int32(storage.ss_family), kind, 0)
        guard number >= 0 else { throw Errno.last }
        let socket = Socket(adopting: number)
        socket.disableDelay()
        let result = unsafe withUnsafeBytes(of: storage) { raw in
            unsafe Glibc.connect(number, raw.assumingMemoryBound(to: sockaddr.self).baseAddress, length)
        }
        guard result == 0 || Errno.last.code == EINPROGRESS else { throw Errno.last }
        return socket
    }
}

extension Socket {
    /// Sends what the kernel takes of the bytes.
    @inline(__always)
    func send(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let count = unsafe Glibc.send(number, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return .moved(count) }
        let error = Errno.last
        // ENOTCONN: still connecting; the poller says when it is.
        return error.code == EAGAIN || error.code == EINTR || error.code == ENOTCONN ? .wouldBlock : .failed(error)
    }
}
