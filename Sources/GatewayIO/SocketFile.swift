import CLinux
import Glibc

/// The file of a unix socket that we have bound: it is removed only as long as it is still ours.
struct SocketFile: Sendable {
    private let path: String
    private let device: dev_t
    private let inode: ino_t

    /// Calls `listen`, which binds there and listens, once no other socket does; no other gateway tries meanwhile.
    static func claim(
        _ path: String, _ name: inout sockaddr_un, _ listen: (inout sockaddr_un) throws(Errno) -> Void
    ) throws(Errno) -> SocketFile {
        let lock = lockFolder(of: path)
        defer { _ = Glibc.close(lock) }
        try removeStale(path, &name)
        try listen(&name)
        return try SocketFile(path)
    }

    init(_ path: String) throws(Errno) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { throw Errno.last }
        self.path = path
        (device, inode) = (status.st_dev, status.st_ino)
    }

    /// Removes the file, unless another one has taken its place. Harmless when repeated while the socket is open: until
    /// then no other file can get its inode.
    func remove() {
        let lock = Self.lockFolder(of: path)
        defer { _ = Glibc.close(lock) }
        var status = stat()
        guard unsafe lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unsafe unlink(path)
    }

    /// A socket file without a listener is left over from a crash; one that answers is in use.
    private static func removeStale(_ path: String, _ name: inout sockaddr_un) throws(Errno) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw Errno(EADDRINUSE) }
        let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw Errno.last }
        let probe = FileDescriptor(adopting: number)
        let answer = unsafe withUnsafePointer(to: &name) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(probe.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let error = Errno.last
        guard answer != 0, error.code == ECONNREFUSED else { throw Errno(EADDRINUSE) }
        unsafe unlink(path)
    }

    /// A gateway holds the lock for no longer than a few system calls; another program that locks folders does not stop
    /// us for longer than so many milliseconds.
    private static let patience: Int32 = 5000

    /// Keeps other gateways from looking at socket files in a folder and binding there, as long as the descriptor is
    /// open: between its bind and its listen a socket looks like one that was left over.
    private static func lockFolder(of path: String) -> Int32 {
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { $0 == path.utf8.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A folder that cannot be read, or a file system without locks: then there is none.
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0, Errno.last.code == EWOULDBLOCK { waitForLock(descriptor) }
        return descriptor
    }

    /// The kernel sets no limit to waiting for a lock, so a thread waits, which may go on when the patience is over.
    private static func waitForLock(_ descriptor: Int32) {
        let lock = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        var (reading, writing): (Int32, Int32) = (-1, -1)
        guard lock >= 0, unsafe clinux_pipe(&reading, &writing) == 0 else { return }
        let taken = writing
        do throws(Errno) {
            try SystemThread(name: "lock") {
                while flock(lock, LOCK_EX) != 0, Errno.last.code == EINTR {}
                // Both descriptors hold the same lock, so it is let go with the other one.
                _ = Glibc.close(lock)
                _ = Glibc.close(taken)
            }.detach()
        } catch {
            _ = Glibc.close(lock)
            _ = Glibc.close(taken)
        }
        var interest = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&interest, 1, patience)
        _ = Glibc.close(reading)
    }
}
