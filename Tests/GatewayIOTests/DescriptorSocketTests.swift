import GatewayIO
import Glibc
import Testing

/// The numbers of the descriptors of this process that are open, for what must not be left behind.
private func openCount(of inode: UInt64) -> Int {
    (0..<65_536).count { number in
        var status = stat()
        return fstat(Int32(number), &status) == 0 && UInt64(status.st_ino) == inode
    }
}

/// A file of a kind that nothing else in this process has: each copy of its descriptor is known by its inode.
private struct KnownFile {
    let number: Int32
    let inode: UInt64

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        close(ends[1])
        var status = stat()
        try #require(fstat(ends[0], &status) == 0)
        (number, inode) = (ends[0], UInt64(status.st_ino))
    }

    var copies: Int { openCount(of: inode) }

    func copy() throws -> Int32 {
        let copy = fcntl(number, F_DUPFD_CLOEXEC, 0)
        try #require(copy >= 0)
        return copy
    }
}

@Suite("DescriptorSocket: bytes, and descriptors beside them", .serialized)
struct DescriptorSocketTests {
    private static func pair() throws -> (near: Int32, far: Int32) {
        var pair = try DescriptorSocket.Pair()
        guard let near = pair.takeNear(), let far = pair.takeFar() else { throw Errno(EBADF) }
        return (near.release(), far.release())
    }

    @Test("a descriptor comes with its bytes, close-on-exec, and is the same file")
    func passes() throws {
        let ends = try Self.pair()
        let near = DescriptorSocket(adopting: ends.near)
        let far = DescriptorSocket(adopting: ends.far)
        let file = try KnownFile()
        defer { close(file.number) }
        #expect(
            near.write(Array("hello".utf8)[...], passing: PassedDescriptors(adopting: [try file.copy()])) == .moved(5))
        // What was sent is closed here, and lives on the way.
        #expect(file.copies == 1)
        let passed = PassedDescriptors()
        var bytes: [UInt8] = [1]
        #expect(far.read(appendingTo: &bytes, atMost: 100, passed) == .moved(5))
        #expect(bytes == [1] + Array("hello".utf8) && passed.count == 1)
        guard let taken = passed.take()?.release() else { throw Errno(EBADF) }
        #expect(fcntl(taken, F_GETFD) & FD_CLOEXEC != 0 && file.copies == 2)
        close(taken)
        #expect(far.read(appendingTo: &bytes, atMost: 100, passed) == .wouldBlock && bytes.count == 6)
    }

    @Test("as many as one call takes come in their order; one more does not leave")
    func many() throws {
        let ends = try Self.pair()
        let near = DescriptorSocket(adopting: ends.near)
        let far = DescriptorSocket(adopting: ends.far)
        let (one, other) = (try KnownFile(), try KnownFile())
        defer { for each in [one, other] { close(each.number) } }
        let order = (0..<DescriptorSocket.mostDescriptors).map { $0.isMultiple(of: 3) }
        let sent = PassedDescriptors(adopting: try order.map { try ($0 ? one : other).copy() })
        #expect(near.write([1], passing: sent) == .moved(1))
        let passed = PassedDescriptors()
        var bytes: [UInt8] = []
        #expect(far.read(appendingTo: &bytes, atMost: 8, passed) == .moved(1))
        var inodes: [Bool] = []
        while let each = passed.take() {
            var status = stat()
            #expect(fstat(each.number, &status) == 0)
            inodes.append(UInt64(status.st_ino) == one.inode)
        }
        #expect(inodes == order && one.copies == 1 && other.copies == 1)
        let tooMany = PassedDescriptors(adopting: try (0...order.count).map { _ in try one.copy() })
        #expect(near.write([1], passing: tooMany) == .failed(Errno(EINVAL)) && tooMany.count == order.count + 1)
        #expect(near.write([], passing: try PassedDescriptors(adopting: [one.copy()])) == .failed(Errno(EINVAL)))
    }

    @Test("more than were asked for are an error, and none is left open")
    func unwanted() throws {
        let ends = try Self.pair()
        let near = DescriptorSocket(adopting: ends.near)
        let far = DescriptorSocket(adopting: ends.far)
        let file = try KnownFile()
        defer { close(file.number) }
        for most in [0, 1, 2] {
            #expect(
                near.write([1], passing: PassedDescriptors(adopting: try (0..<3).map { _ in try file.copy() }))
                    == .moved(1))
            let passed = PassedDescriptors()
            var bytes: [UInt8] = []
            #expect(far.read(appendingTo: &bytes, atMost: 8, passed, atMost: most) == .failed(Errno(EPROTO)))
            #expect(passed.count == 0 && bytes.isEmpty && file.copies == 1)
        }
    }

    @Test("a process that has no number left for them says so, and keeps none")
    func full() async {
        await #expect(processExitsWith: .success) {
            let ends = try Self.pair()
            let near = DescriptorSocket(adopting: ends.near)
            let far = DescriptorSocket(adopting: ends.far)
            let file = try KnownFile()
            let sent = PassedDescriptors(adopting: try (0..<8).map { _ in try file.copy() })
            #expect(near.write([1], passing: sent) == .moved(1))
            var limit = rlimit(rlim_cur: 0, rlim_max: 0)
            try #require(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            // Four find a number, the others do not.
            var lowest: Int32 = 0
            var free = 0
            while free < 4 {
                if fcntl(lowest, F_GETFD) < 0 { free += 1 }
                lowest += 1
            }
            limit.rlim_cur = rlim_t(lowest)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let passed = PassedDescriptors()
            var bytes: [UInt8] = []
            #expect(far.read(appendingTo: &bytes, atMost: 8, passed) == .failed(Errno(EMFILE)))
            #expect(passed.count == 0 && file.copies == 1)
        }
    }

    @Test("a full socket would block, and what was to be passed stays where it is")
    func blocks() throws {
        let ends = try Self.pair()
        let near = DescriptorSocket(adopting: ends.near)
        let far = DescriptorSocket(adopting: ends.far)
        let file = try KnownFile()
        defer { close(file.number) }
        let block = [UInt8](repeating: 7, count: 65536)
        var sent = 0
        while case .moved(let count) = near.write(block[...]) { sent += count }
        let waiting = PassedDescriptors(adopting: [try file.copy()])
        #expect(near.write([9], passing: waiting) == .wouldBlock && waiting.count == 1)
        let passed = PassedDescriptors()
        var bytes: [UInt8] = []
        while bytes.count < sent { #expect(far.read(appendingTo: &bytes, atMost: sent, passed) != .wouldBlock) }
        #expect(passed.count == 0)
        #expect(near.write([9], passing: waiting) == .moved(1) && waiting.count == 0)
        #expect(far.read(appendingTo: &bytes, atMost: 10, passed) == .moved(1) && passed.count == 1)
    }

    @Test("the end of the other side is the end of the stream, and an error for whoever writes; nothing is left open")
    func gone() throws {
        let ends = try Self.pair()
        let near = DescriptorSocket(adopting: ends.near)
        let file = try KnownFile()
        defer { close(file.number) }
        do {
            let far = DescriptorSocket(adopting: ends.far)
            #expect(far.write([1], passing: PassedDescriptors(adopting: [try file.copy()])) == .moved(1))
            #expect(near.write([2], passing: PassedDescriptors(adopting: [try file.copy()])) == .moved(1))
        }
        let passed = PassedDescriptors()
        var bytes: [UInt8] = []
        #expect(near.read(appendingTo: &bytes, atMost: 8, passed) == .moved(1) && passed.count == 1)
        // It did not read what we sent: the kernel tells of a reset first.
        var end = near.read(appendingTo: &bytes, atMost: 8, passed)
        if end == .failed(Errno(ECONNRESET)) { end = near.read(appendingTo: &bytes, atMost: 8, passed) }
        #expect(end == .endOfStream)
        let unsent = PassedDescriptors(adopting: [try file.copy()])
        #expect(near.write([2], passing: unsent) == .failed(Errno(EPIPE)) && unsent.count == 1)
        withExtendedLifetime((passed, unsent)) { #expect(file.copies == 3) }
    }

    @Test("what is handed down is looked at: anything but a connected unix stream is refused")
    func inherited() throws {
        let ends = try Self.pair()
        defer { close(ends.near) }
        let file = try KnownFile()
        defer { close(file.number) }
        #expect(fcntl(ends.far, F_SETFD, 0) == 0 && fcntl(ends.far, F_SETFL, 0) == 0)
        var isTaken = false
        if let socket = DescriptorSocket(inherited: ends.far) {
            isTaken = true
            #expect(fcntl(ends.far, F_GETFD) & FD_CLOEXEC != 0)
            var bytes: [UInt8] = []
            #expect(socket.read(appendingTo: &bytes, atMost: 8, PassedDescriptors()) == .wouldBlock)
        }
        #expect(isTaken)
        let datagrams = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let unconnected = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let internet = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { for each in [datagrams, unconnected, internet] { close(each) } }
        for number in [datagrams, unconnected, internet, file.number, 1, -1, 1_000_000] {
            if DescriptorSocket(inherited: number) != nil { Issue.record("\(number) was taken") }
        }
    }
}
