import CLinux
import GatewayIO
import Glibc

/// The address of a destination as the kernel wants it.
struct Address {
    private let storage: sockaddr_storage
    private let length: socklen_t

    /// Looks the host up; the first address counts.
    init(_ destination: Destination) throws(LoadUsageError) { self = try Self.all(of: destination)[0] }

    private init(copying name: UnsafeMutablePointer<sockaddr>, _ length: socklen_t) {
        var storage = sockaddr_storage()
        let fitting = min(length, socklen_t(MemoryLayout<sockaddr_storage>.size))
        unsafe withUnsafeMutableBytes(of: &storage) { room in
            unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: name, count: Int(fitting)))
        }
        (self.storage, self.length) = (storage, fitting)
    }

    /// Looks the host up: at least one address, in the order in which they are to be tried.
    static func all(of destination: Destination) throws(LoadUsageError) -> [Address] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(destination.host, String(destination.port), &hints, &list)
        defer { if let list = unsafe list { unsafe freeaddrinfo(list) } }
        var addresses: [Address] = []
        var next = unsafe code == 0 ? list : nil
        while let entry = unsafe next {
            if let name = unsafe entry.pointee.ai_addr {
                addresses.append(unsafe Address(copying: name, entry.pointee.ai_addrlen))
            }
            unsafe next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else {
            let reason = unsafe code == 0 ? "no address" : String(cString: gai_strerror(code))
            throw LoadUsageError("\"\(destination.host)\": \(reason)")
        }
        return addresses
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
