import GatewayIO
import Glibc
import Testing

@Suite("A descriptor has one owner")
struct FileDescriptorTests {
    @Test("who lets go closes; who gives away does not")
    func owner() throws {
        var numbers: [Int32] = [-1, -1]
        #expect(pipe(&numbers) == 0)
        let writer = FileDescriptor(adopting: numbers[1])
        let reader = FileDescriptor(adopting: numbers[0])
        let number = reader.release()
        #expect(Loopback.isOpen(number))
        _ = consume writer
        // The end of the pipe is seen once the only writer is closed.
        var byte: UInt8 = 0
        #expect(Glibc.read(number, &byte, 1) == 0)
        close(number)
    }
}
