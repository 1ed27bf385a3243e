import Bytes
import Glibc
import Testing

@Suite("Memory that two processes share")
struct SharedMemoryTests {
    private static let count = 1 << 20

    /// A file of memory.
    static func file(_ count: Int = Self.count) -> Int32 {
        let name = "/shared-memory-tests-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let file = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0o600)
        precondition(file >= 0 && shm_unlink(name) == 0 && ftruncate(file, count) == 0, "no memory")
        return file
    }

    @Test func `what one stores the other finds`() {
        let file = Self.file()
        defer { close(file) }
        guard let one = SharedMemory(descriptor: file, count: Self.count),
            let other = SharedMemory(descriptor: file, count: Self.count)
        else {
            Issue.record("it cannot be mapped")
            return
        }
        one.store(7, at: 8)
        one.publish(9, at: Self.count - 8)
        [1, 2, 3].withUnsafeBytes { one.write($0, at: 101) }
        #expect(other.load(8) == 7 && other.load(Self.count - 8) == 9 && other.load(16) == 0)
        #expect(Array(other.bytes(101..<125)) == [1, 2, 3].flatMap { [$0, 0, 0, 0, 0, 0, 0, 0] })
        one.write(UnsafeRawBufferPointer(start: nil, count: 0), at: Self.count)
        #expect(other.bytes(5..<5).isEmpty)
        one.pointer(to: 24).pointee = 5
        #expect(other.load(24) == 5)
    }

    @Test func `what is discarded takes no memory, and is zero`() {
        let file = Self.file()
        defer { close(file) }
        guard let one = SharedMemory(descriptor: file, count: Self.count),
            let other = SharedMemory(descriptor: file, count: Self.count)
        else {
            Issue.record("it cannot be mapped")
            return
        }
        let bytes = [UInt8](repeating: 1, count: 5 * 4096)
        bytes.withUnsafeBytes { one.write($0, at: 0) }
        var status = stat()
        fstat(file, &status)
        let before = status.st_blocks
        // What belongs to others in the first page and the last one stays.
        one.discard(100..<4 * 4096 + 100)
        fstat(file, &status)
        #expect(before == 5 * 8 && status.st_blocks == 2 * 8)
        #expect(other.bytes(0..<4096).allSatisfy { $0 == 1 } && other.bytes(4 * 4096..<5 * 4096).allSatisfy { $0 == 1 })
        #expect(other.bytes(4096..<4 * 4096).allSatisfy { $0 == 0 })
        one.discard(4096..<4096)
    }

    @Test func `nothing is reached outside of it`() async {
        await #expect(processExitsWith: .failure) {
            let memory = SharedMemory(descriptor: SharedMemoryTests.file(4096), count: 4096)
            memory?.store(1, at: 4096)
        }
        await #expect(processExitsWith: .failure) {
            let memory = SharedMemory(descriptor: SharedMemoryTests.file(4096), count: 4096)
            memory?.store(1, at: 4)
        }
        await #expect(processExitsWith: .failure) {
            let memory = SharedMemory(descriptor: SharedMemoryTests.file(4096), count: 4096)
            _ = memory?.bytes(4000..<4097)
        }
        if SharedMemory(descriptor: -1, count: 4096) != nil { Issue.record("no file is mapped") }
    }
}
