import GatewayIO
import Glibc
import Testing

@Suite("An error number has its text")
struct ErrnoTests {
    @Test("known and unknown numbers", arguments: [(EMFILE, "Too many open files"), (99_999, "Unknown error 99999")])
    func text(_ code: Int32, text: String) { #expect(Errno(code).description == text) }

    @Test("the last one is what the call just left")
    func last() {
        _ = fcntl(-1, F_GETFD)
        let error = Errno.last
        #expect(error == Errno(EBADF))
    }
}
