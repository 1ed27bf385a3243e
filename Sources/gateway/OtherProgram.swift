import CLinux
import GatewayIO
import Glibc

/// A program of the system that a command has do something, without a terminal to ask at.
struct OtherProgram {
    let path: String

    /// Where programs for administrators are, which is not in everybody's PATH.
    private static let places = ["/usr/local/sbin", "/usr/sbin", "/sbin"]

    /// The first that can be run; nil when there is none.
    init?(_ names: String...) {
        let folders = (unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "").split(separator: ":")
        // A program that lies in the folder one works in is nothing to be run unasked.
        let all = folders.map { String($0) }.filter { $0.first == "/" } + Self.places
        let candidates = names.flatMap { name in all.map { "\($0)/\(name)" } }
        guard let found = candidates.first(where: { unsafe access($0, X_OK) == 0 }) else { return nil }
        path = found
    }

    struct Answer {
        let isFine: Bool
        /// What it wrote to standard output and standard error.
        let text: String
    }

    /// Runs it to its end.
    func run(_ arguments: [String]) throws(DevCertFailure) -> Answer {
        let nothing = FileDescriptor(adopting: unsafe open("/dev/null", O_RDWR | O_CLOEXEC))
        let said = FileDescriptor(adopting: unsafe clinux_memory_file("gateway program"))
        guard nothing.number >= 0, said.number >= 0 else { throw failure() }
        let process = try spawn(arguments, [nothing.number, said.number, said.number])
        var end = clinux_end()
        guard unsafe clinux_reap(process, 1, &end) == 1, lseek(said.number, 0, SEEK_SET) == 0 else { throw failure() }
        let text = String(decoding: try WrittenFile.rest(of: said.number, "what \(path) says"), as: UTF8.self)
        return Answer(isFine: end.signal == 0 && end.status == 0, text: text)
    }

    private func spawn(_ arguments: [String], _ descriptors: [Int32]) throws(DevCertFailure) -> pid_t {
        var words: [UnsafeMutablePointer<CChar>?] = unsafe ([path] + arguments).map { unsafe strdup($0) }
        defer { unsafe words.forEach { unsafe free($0) } }
        unsafe words.append(nil)
        let process = unsafe clinux_spawn_with(path, words, descriptors, Int32(descriptors.count))
        guard process > 0 else { throw failure() }
        return process
    }

    private func failure() -> DevCertFailure { DevCertFailure("cannot run \(path): \(Errno.last)") }
}
