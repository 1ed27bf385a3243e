import GatewayControl
import Glibc
import Testing

@Suite("The token of the admin listener")
struct BearerTokenTests {
    private final class File {
        let path: String

        init(_ content: [UInt8], mode: mode_t = 0o600) throws {
            var template = Array("/tmp/tokenXXXXXX\0".utf8CString)
            let number = mkstemp(&template)
            try #require(number >= 0)
            path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            try #require(write(number, content, content.count) == content.count)
            fchmod(number, mode)
            close(number)
        }

        convenience init(_ text: String, mode: mode_t = 0o600) throws { try self.init(Array(text.utf8), mode: mode) }

        deinit { unlink(path) }
    }

    private func complaint(_ path: String) -> String? {
        do throws(BearerToken.Failure) {
            _ = try BearerToken(file: path)
            return nil
        } catch {
            return error.description
        }
    }

    private func complaint(_ file: File) -> String? { withExtendedLifetime(file) { complaint(file.path) } }

    @Test(arguments: ["s3cret", "s3cret\n", "s3cret\r\n", "s3cret \n\n"])
    func `is the word in its file`(content: String) throws {
        let file = try File(content)
        let token = try BearerToken(file: file.path)
        #expect(token.isShown(by: Array("Bearer s3cret".utf8)[...]))
        #expect(!token.isShown(by: Array("Bearer s3cret\n".utf8)[...]))
        #expect(!token.isShown(by: Array("Bearer s3cre".utf8)[...]))
        #expect(!token.isShown(by: [][...]))
    }

    @Test(arguments: [0o600, 0o400] as [mode_t])
    func `its owner alone may read the file`(mode: mode_t) throws {
        #expect(complaint(try File("a", mode: mode)) == nil)
    }

    @Test(arguments: [0o640, 0o604, 0o644, 0o660, 0o602, 0o777] as [mode_t])
    func `a file that others can use is refused with what to do`(mode: mode_t) throws {
        let file = try File("a", mode: mode)
        let octal = String(mode, radix: 8)
        #expect(
            complaint(file)
                == "\(file.path) has mode 0\(octal), so others can use it: chmod 600 \(file.path)")
    }

    @Test func `what holds no token is refused`() throws {
        #expect(complaint(try File(""))?.contains("is empty") == true)
        #expect(complaint(try File("\n \n"))?.contains("is empty") == true)
        #expect(complaint(try File("two words"))?.contains("one word of ASCII") == true)
        #expect(complaint(try File([0xFF, 0xFE]))?.contains("one word of ASCII") == true)
        #expect(complaint(try File(String(repeating: "x", count: 5000)))?.contains("longer") == true)
        #expect(complaint(try File(String(repeating: "x", count: 4096))) == nil)
        #expect(complaint("/tmp/no such file") == "/tmp/no such file cannot be read: No such file or directory")
        #expect(complaint("/tmp") == "/tmp is not a file")
    }
}
