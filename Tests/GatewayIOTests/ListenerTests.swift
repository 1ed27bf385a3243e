import GatewayIO
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite("A listener listens where it says, and outlives its peers' mishaps")
struct ListenerTests {
    /// What listening at an address came to, when it must not work.
    private func refusal(_ address: Listener.Address) -> Errno? {
        do throws(Errno) {
            _ = try Listener(address)
            return nil
        } catch {
            return error
        }
    }

    @Test("port 0 becomes a number; IPv4 peers of a dual-stack listener are shown as IPv4")
    func dualStack() throws {
        let listener = try Listener(.any(port: 0))
        #expect(listener.address.port != 0)
        let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
        let socket = try Loopback.accept(listener)
        let far = socket.peerAddress
        let peer = try #require(far)
        #expect(peer.host == "127.0.0.1")
        #expect(peer.port != 0)
        #expect(peer.description == "127.0.0.1:\(peer.port)")
        let local = socket.localAddress
        #expect(local == SocketAddress(host: "127.0.0.1", port: listener.address.port))
        _ = consume client
    }

    @Test("a dual-stack listener is reached by IPv6 too", .enabled(if: Loopback.hasIPv6))
    func dualStackIPv6() throws {
        let listener = try Listener(.any(port: 0))
        #expect(listener.address.host == "::")
        let client = try Loopback.connect("::1", port: listener.address.port)
        let peer = try Loopback.accept(listener).peerAddress
        #expect(peer?.host == "::1")
        _ = consume client
    }

    @Test("IPv4 alone")
    func ipv4() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        #expect(listener.address.host == "127.0.0.1")
        let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
        let peer = try Loopback.accept(listener).peerAddress
        #expect(peer?.host == "127.0.0.1")
        _ = consume client
    }

    @Test("IPv6 alone does not take IPv4", .enabled(if: Loopback.hasIPv6))
    func ipv6() throws {
        let listener = try Listener(.ipv6(Array(repeating: 0, count: 15) + [1], port: 0))
        let port = listener.address.port
        #expect(listener.address.description == "[::1]:\(port)")
        let client = try Loopback.connect("::1", port: port)
        let peer = try Loopback.accept(listener).peerAddress
        #expect(peer?.host == "::1")
        #expect(throws: Errno(ECONNREFUSED)) { _ = try Loopback.connect("127.0.0.1", port: port) }
        _ = consume client
    }

    @Test("a port that is taken is refused, and free again at once when its listener goes")
    func taken() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        let port = listener.address.port
        let client = try Loopback.connect("127.0.0.1", port: port)
        let socket = try Loopback.accept(listener)
        #expect(refusal(.ipv4([127, 0, 0, 1], port: port)) == Errno(EADDRINUSE))
        _ = consume listener
        // The connection is closed by us first and lingers in the kernel.
        _ = consume socket
        _ = consume client
        #expect(refusal(.ipv4([127, 0, 0, 1], port: port)) == nil)
    }

    @Test(
        "what is no address is refused",
        arguments: [
            (.ipv4([], port: 0), EINVAL), (.ipv4([127, 0, 0], port: 0), EINVAL), (.ipv6([0, 1], port: 0), EINVAL),
            (.ipv4([192, 0, 2, 1], port: 0), EADDRNOTAVAIL), (.unix(path: ""), EINVAL),
            (.unix(path: "a\0b"), EINVAL), (.unix(path: "/nowhere/at/all.sock"), ENOENT),
            (.unix(path: "/tmp/" + String(repeating: "x", count: 103)), ENAMETOOLONG),
        ] as [(Listener.Address, Int32)])
    func noAddress(_ address: Listener.Address, code: Int32) {
        #expect(refusal(address) == Errno(code))
    }

    @Test("accepting takes one peer at a time, non-blocking and close-on-exec, until none is left")
    func accept() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        #expect(Loopback.outcome(listener) == .none)
        let one = try Loopback.connect("127.0.0.1", port: listener.address.port)
        let two = try Loopback.connect("127.0.0.1", port: listener.address.port)
        for _ in 0..<2 {
            let socket = try Loopback.accept(listener)
            #expect(fcntl(socket.number, F_GETFL) & O_NONBLOCK != 0)
            #expect(fcntl(socket.number, F_GETFD) & FD_CLOEXEC != 0)
        }
        #expect(Loopback.outcome(listener) == .none)
        _ = consume one
        _ = consume two
    }

    @Test("a peer that resets before it is accepted does not end the listener")
    func resetWhileWaiting() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        for _ in 0..<20 {
            let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
            var hard = linger(l_onoff: 1, l_linger: 0)
            setsockopt(client.number, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
        }
        let last = try Loopback.connect("127.0.0.1", port: listener.address.port)
        Loopback.write(last.number, [42])
        var found = false
        while !found {
            Loopback.wait(listener.number)
            switch listener.accept() {
            case .socket(let socket):
                // Those that were reset may still be handed out; reading tells.
                Loopback.wait(socket.number)
                found = Loopback.read(socket.number, 1) == [42]
            case .none: continue
            case .lost: continue
            case .exhausted(let error):
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("no descriptor left is told apart, and over as soon as one is free")
    func exhausted() async {
        // In a process of its own: the limit is the whole process's.
        await #expect(processExitsWith: .success) {
            let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
            let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = 64
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            var fillers: [Int32] = []
            while true {
                let filler = dup(client.number)
                if filler < 0 { break }
                fillers.append(filler)
            }
            Loopback.wait(listener.number)
            for _ in 0..<3 {
                guard Loopback.outcome(listener) == .exhausted(Errno(EMFILE)) else { exit(EXIT_FAILURE) }
            }
            close(fillers.removeLast())
            guard try Loopback.accept(listener).peerAddress?.host == "127.0.0.1" else { exit(EXIT_FAILURE) }
        }
    }

    @Test("a listener that can never accept again pauses instead of spinning")
    func broken() throws {
        let listener = try Listener(.ipv4([127, 0, 0, 1], port: 0))
        // What whoever gave us an inherited descriptor may do to it.
        shutdown(listener.number, Int32(SHUT_RDWR))
        #expect(Loopback.outcome(listener) == .exhausted(Errno(EINVAL)))
    }
}

@Suite("A unix socket: its file comes and goes with its listener")
struct UnixListenerTests {
    @Test("reached by path, named by it, and removed at the end")
    func life() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/a.sock"
        do {
            let listener = try Listener(.unix(path: path))
            #expect(listener.address == SocketAddress(unixPath: path))
            #expect(listener.address.description == "unix:\(path)")
            let client = try Loopback.connect(path: path)
            let socket = try Loopback.accept(listener)
            let (peer, local) = (socket.peerAddress, socket.localAddress)
            #expect(peer == SocketAddress(unixPath: ""), "a client without a name")
            #expect(local?.host == path)
            // Options of TCP are refused there and need not be minded.
            socket.disableDelay()
            _ = consume client
        }
        #expect(access(path, F_OK) == -1)
    }

    @Test("has the mode that is wanted, whatever the umask, and the group", arguments: [0o600, 0o666, 0o770])
    func modeAndGroup(_ mode: UInt32) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/mode.sock"
        let listener = try Listener(.unix(path: path, mode: mode, group: getegid()))
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o7777 == mode && status.st_gid == getegid())
        _ = try Loopback.connect(path: path)
        _ = try Loopback.accept(listener)
    }

    @Test("a file that nobody listens on any more is replaced")
    func stale() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/stale.sock"
        do {
            let left = FileDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
            var name = Loopback.unixName(path)
            #expect(Loopback.with(&name) { bind(left.number, $0, $1) } == 0)
            #expect(listen(left.number, 1) == 0)
        }
        #expect(access(path, F_OK) == 0)
        let listener = try Listener(.unix(path: path))
        let client = try Loopback.connect(path: path)
        _ = try Loopback.accept(listener)
        _ = consume client
    }

    @Test("a listener that ends, or is closed, leaves a file that took the place of its own", arguments: [true, false])
    func successor(_ isClosed: Bool) throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/next.sock"
        let second: Listener
        do {
            let first = try Listener(.unix(path: path))
            if isClosed { first.close() } else { #expect(unlink(path) == 0) }
            #expect(access(path, F_OK) == -1, "the next one can listen at once")
            second = try Listener(.unix(path: path))
            if isClosed { first.close() }
        }
        #expect(access(path, F_OK) == 0)
        let client = try Loopback.connect(path: path)
        _ = try Loopback.accept(second)
        _ = consume client
    }

    @Test("one that binds while another one looks waits for its turn")
    func turns() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/turns.sock"
        // Another gateway has bound and does not listen yet, which looks like a file left over from a crash.
        let lock = open(folder.path, O_RDONLY | O_DIRECTORY)
        #expect(flock(lock, LOCK_EX) == 0)
        let other = FileDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var name = Loopback.unixName(path)
        #expect(Loopback.with(&name) { bind(other.number, $0, $1) } == 0)
        let outcome = Mutex<Int32?>(nil)
        let thread = RunningThread {
            do throws(Errno) {
                _ = try Listener(.unix(path: path))
                outcome.withLock { $0 = 0 }
            } catch {
                outcome.withLock { $0 = error.code }
            }
        }
        // It is seen waiting: the second descriptor on the folder is its own.
        while !Self.othersHold(folder.path, but: lock), outcome.withLock({ $0 }) == nil { sched_yield() }
        #expect(listen(other.number, 1) == 0)
        close(lock)
        thread.join()
        #expect(outcome.withLock { $0 } == EADDRINUSE)
        #expect(access(path, F_OK) == 0)
        unlink(path)
    }

    /// Whether this process has the folder open under another number.
    private static func othersHold(_ folder: String, but own: Int32) -> Bool {
        guard let listing = opendir("/proc/self/fd") else { return false }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            var target = [UInt8](repeating: 0, count: 256)
            let count = target.withUnsafeMutableBytes {
                readlink("/proc/self/fd/\(name)", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
            }
            if name != String(own), count > 0, String(decoding: target[..<count], as: UTF8.self) == folder {
                return true
            }
        }
        return false
    }

    @Test("one that is in use is refused and goes on")
    func inUse() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/used.sock"
        let listener = try Listener(.unix(path: path))
        #expect(throws: Errno(EADDRINUSE)) { _ = try Listener(.unix(path: path)) }
        let client = try Loopback.connect(path: path)
        // The probe of the second one stands in the queue before the client.
        _ = try Loopback.accept(listener)
        _ = try Loopback.accept(listener)
        #expect(access(path, F_OK) == 0)
        _ = consume client
    }

    @Test("one whose queue is full is in use as well")
    func full() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/full.sock"
        defer { unlink(path) }
        let busy = FileDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var name = Loopback.unixName(path)
        #expect(Loopback.with(&name) { bind(busy.number, $0, $1) } == 0)
        #expect(listen(busy.number, 0) == 0)
        var waiting: [Int32] = []
        defer { for number in waiting { close(number) } }
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue)
        repeat {
            waiting.append(socket(AF_UNIX, type, 0))
        } while Loopback.with(&name) {
            connect(waiting[waiting.count - 1], $0, $1)
        } == 0
        #expect(throws: Errno(EADDRINUSE)) { _ = try Listener(.unix(path: path)) }
        #expect(access(path, F_OK) == 0)
        _ = consume busy
    }

    @Test("a file that is no socket is left alone")
    func file() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/file"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        defer { unlink(path) }
        #expect(throws: Errno(EADDRINUSE)) { _ = try Listener(.unix(path: path)) }
        #expect(access(path, F_OK) == 0)
    }

    @Test("a path of the longest length")
    func longest() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/" + String(repeating: "x", count: 107 - folder.path.utf8.count - 1)
        #expect(path.utf8.count == 107)
        let listener = try Listener(.unix(path: path))
        #expect(listener.address.host == path)
        let client = try Loopback.connect(path: path)
        _ = try Loopback.accept(listener)
        _ = consume client
    }
}

@Suite("An inherited descriptor: what systemd or a parent has opened")
struct InheritedListenerTests {
    private func listening() throws -> FileDescriptor {
        let number = FileDescriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        guard listen(number.number, 5) == 0 else { throw Errno.last }
        return number
    }

    @Test("serves where it is bound, and is made non-blocking and close-on-exec")
    func serves() throws {
        let number = try listening().release()
        let listener = try Listener(.inherited(number))
        #expect(listener.number == number)
        #expect(listener.address.port != 0)
        #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0)
        #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
        let client = try Loopback.connect("127.0.0.1", port: listener.address.port)
        _ = try Loopback.accept(listener)
        _ = consume client
    }

    @Test("the file of an inherited unix socket is not ours to remove")
    func unixFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/parent.sock"
        let parent = FileDescriptor(adopting: socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0))
        var name = Loopback.unixName(path)
        #expect(Loopback.with(&name) { bind(parent.number, $0, $1) } == 0)
        #expect(listen(parent.number, 1) == 0)
        let number = parent.release()
        do {
            let listener = try Listener(.inherited(number))
            #expect(listener.address.host == path)
        }
        #expect(access(path, F_OK) == 0)
        unlink(path)
    }

    @Test("what is no listening socket is refused and stays with its owner")
    func wrong() throws {
        #expect(throws: Errno(EBADF)) { _ = try Listener(.inherited(-1)) }
        var pipes: [Int32] = [-1, -1]
        #expect(pipe(&pipes) == 0)
        #expect(throws: Errno(ENOTSOCK)) { _ = try Listener(.inherited(pipes[0])) }
        #expect(Loopback.isOpen(pipes[0]))
        for number in pipes { close(number) }
        let bound = FileDescriptor(adopting: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        let number = bound.number
        #expect(throws: Errno(EINVAL)) { _ = try Listener(.inherited(number)) }
        #expect(Loopback.isOpen(number))
        _ = consume bound
    }
}
